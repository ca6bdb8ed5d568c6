"""Read and check settings: the workspace's `catbuilder.toml`, and the base class of recipes."""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from catbuilder.core.errors import ConfigError
from catbuilder.core.safe_text import in_one_line

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")

_LONGEST_TOML = 1_000_000  # bytes; shipped recipes have 2,000
_LONGEST_REPEATED = 80  # characters of a key or value that a message repeats

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(gt=0)]


class Settings(BaseModel):
    """Base class of all settings: unknown keys, infinities and NaN are errors."""

    # NaN passes every limit (no comparison holds), and no setting may be infinite; both would only fail in training.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Survey(Settings):
    """A survey and its data release; DES DR1 and DR2 number the same objects differently."""

    release: str = ""
    id_column: str = "object_id"


_SURVEYS = {
    "sdss": Survey(release="DR7", id_column="objID"),
    "des": Survey(release="DR1", id_column="COADD_OBJECT_ID"),
}


class StampWidths(Settings):
    """Width of a stamp cut from a tile, as a multiple of the radius that the survey measured."""

    # DES measures KRON_RADIUS x A_IMAGE, SDSS petroRad_r. Of the 16,982 galaxies in both, petroRad_r is 0.563 of the
    # Kron radius (median; 0.464 to 0.671 for two thirds), so that a galaxy gets the same width in both. Four Petrosian
    # radii is the paper's box in SDSS.
    radii: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=lambda: {"des": 2.25, "sdss": 4.0})
    other_radii: Annotated[float, Field(gt=0)] = 4.0  # of surveys not named above
    unknown_arcsec: Annotated[float, Field(gt=0)] = 22.0  # where no radius was measured: the paper's box in DES
    min_arcsec: Annotated[float, Field(gt=0)] = 10.0
    max_arcsec: Annotated[float, Field(gt=0)] = 120.0
    min_px: Annotated[int, Field(ge=16)] = 24
    max_px: Annotated[int, Field(le=4096)] = 512


class Limits(Settings):
    """Largest input files: a larger one is an error before it is read into memory."""

    max_image_pixels: Positive = 64_000_000  # of a JPEG or PNG, or of one block of a compressed tile: at most 1 GB
    max_tile_side: Positive = 65_536  # px; a tile is read in strips of whole rows, at most 300 MB each
    max_csv_mb: Positive = 200  # of a user's table, which takes about 15 times its size in memory
    max_votable_mb: Positive = 500  # about half a minute to parse, at about 20 MB/s
    max_columns: Positive = 5_000  # of any table
    max_row_bytes: Positive = 16_777_216  # of a FITS table
    query_disk_mb: Positive = 20_000  # temporary files of one `catbuilder sql`


class Creator(Settings):
    """A creator of the catalogue: a person, or an organisation, which has no given name."""

    family: Annotated[str, Field(min_length=1)]
    given: str = ""
    orcid: Annotated[str, Field(pattern=r"^(\d{4}-\d{4}-\d{4}-\d{3}[\dX])?$")] = ""
    affiliation: str = ""


class ReleaseSettings(Settings):
    """Authors, licence and identifiers of a published catalogue (`catbuilder release`)."""

    title: str = ""
    creators: tuple[Creator, ...] = ()
    licence: Annotated[str, Field(pattern=r"^[A-Za-z0-9.+-]*$")] = ""  # SPDX identifier, such as CC-BY-4.0
    doi: Annotated[str, Field(pattern=r"^(10\.\S+/\S+)?$")] = ""  # reserved for the next release
    publisher: str = ":unav"  # DataCite's code for an unknown one
    description: str = ""  # the abstract; if empty, one is made from the catalogue


class WorkspaceConfig(Settings):
    """The settings of `catbuilder.toml`."""

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
            raise ValueError("two or more different names are needed")
        for name in classes:
            _check_name(name, "class")
        return classes

    @field_validator("surveys")
    @classmethod
    def _surveys(cls, surveys: dict[str, Survey]) -> dict[str, Survey]:
        for name in surveys:
            _check_name(name, "survey")
        return surveys


S = TypeVar("S", bound=Settings)


def load_settings(path: Path, model: type[S]) -> S:
    """Read a TOML file into a settings class; raise ConfigError with file and key if a setting is wrong."""
    return validated_settings(read_toml(path), model, str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; raise ConfigError with the line that is wrong."""
    try:
        if path.exists() and not path.is_file():  # a folder, or a device without an end
            raise ConfigError(f"{path} is not a plain file; give the path of a TOML file")
        if path.stat().st_size > _LONGEST_TOML:
            raise ConfigError(
                f"{path} is larger than {_LONGEST_TOML:,} bytes, too large for settings; give another file"
            )
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}; give the path of a recipe, or the name of a shipped one") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); give the path of a TOML file") from None
    except RecursionError:
        raise ConfigError(f"{path} is not valid TOML: it is nested too deeply; correct that place") from None
    # TOMLDecodeError and UnicodeDecodeError are ValueErrors; so is a number of more than 4,300 digits
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML: {in_one_line(error)}; correct that place") from None


def validated_settings(values: dict[str, Any], model: type[S], where: str) -> S:
    """Check values against a settings class; an error names the key and the file (`where`)."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_first_fault(error, model)}") from None


def shorten(text: str) -> str:
    """Shorten a user's text for an error message."""
    return in_one_line(text, _LONGEST_REPEATED)


def _first_fault(error: ValidationError, model: type[BaseModel]) -> str:
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _keys_at(model, fault["loc"][:-1])
        hint = did_you_mean(str(fault["loc"][-1]), known)
        return f"unknown key '{shorten(where)}'{hint}; known here: {', '.join(known)}"
    if fault["type"] == "missing":
        return f"the key '{where}' is missing; add it"
    given, why = shorten(repr(fault.get("input"))), in_one_line(fault["msg"].removeprefix("Value error, "))
    return f"'{shorten(where)}' is {given}: {why}; change it"


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """List the settings of the class at `location` inside `model`."""
    here = model
    for part in location:
        if part in here.model_fields:
            annotation: Any = here.model_fields[str(part)].annotation
            # a tuple or dict of settings, or the settings themselves
            inside = [*getattr(annotation, "__args__", ()), annotation]
            here = next(a for a in inside if isinstance(a, type) and issubclass(a, BaseModel))
    return sorted(here.model_fields)


def did_you_mean(word: str, known: list[str]) -> str:
    """Suggest the known word most similar to an unknown one; empty if none is similar."""
    close = difflib.get_close_matches(word[:_LONGEST_REPEATED].lower(), known, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _check_name(name: str, kind: str) -> None:
    # Class names become column names (p_<class>) and survey names folders: keep both plain.
    if not _NAME.fullmatch(name):
        raise ValueError(f"the {kind} name '{name}' must be lower-case letters, digits and _, starting with a letter")
