"""Find the Parquet files that hold the rows of a table: a file, a pattern, a folder of parts, or a HATS catalogue.

A HATS catalogue (IVOA note on HATS, version 1.0) has more Parquet files than its rows need: thumbnails, which repeat
rows; `_metadata` files; and margin caches and indexes, which are catalogues of their own beside it in a collection.
"""

import glob
import os
from pathlib import Path

from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line

_ENDINGS = (".parquet", ".pq", ".parq")
_THUMBNAIL = "data_thumbnail.parquet"
_PROPERTIES = ("hats.properties", "properties")  # the second before version 1.0
_COLLECTION = "collection.properties"
_ROWS_OF_ITS_OWN = ("object", "source", "")  # kinds of HATS catalogues that repeat nothing of another one
_LONGEST_PROPERTIES = 100_000  # bytes


def parquet_parts(path: Path) -> list[Path]:
    """List the Parquet files with the rows of a folder, a file or a pattern; empty for the name of another format.

    Raises
    ------
    InputError
        A folder holds none, or is a margin cache, an index or a Delta table.
    """
    if path.is_dir():
        return _of_folder(path)
    if path.suffix.lower() in _ENDINGS:
        return [path] if path.is_file() else _matching(path)
    return []


def _matching(pattern: Path) -> list[Path]:
    """List the files that match a pattern; a folder that exists under the name in it is that folder and no pattern."""
    folder = next((place for place in pattern.parents if place.is_dir()), Path())
    rest = pattern.relative_to(folder)
    return sorted(folder / name for name in glob.glob(str(rest), root_dir=folder, recursive=True))


def _of_folder(folder: Path) -> list[Path]:
    """List the files with the rows of a folder, at any depth, in the order of their paths."""
    main = _main_catalogue(folder)
    kind = _properties(main).get("dataproduct_type", "")
    if kind not in _ROWS_OF_ITS_OWN:
        raise InputError(
            f"the folder {main} is a HATS {in_one_line(kind, 30)} catalogue, whose rows belong to another one; give "
            "the folder of the catalogue of objects"
        )
    if (main / "_delta_log").is_dir():
        raise InputError(f"the folder {main} is a Delta table, whose files hold deleted rows too; export it as Parquet")
    parts = []
    for place, folders, files in os.walk(main):
        here = Path(place)
        folders[:] = [name for name in folders if not _hidden(name) and not _repeats_rows(here / name)]
        parts += [here / name for name in files if Path(name).suffix.lower() in _ENDINGS and not _hidden(name)]
    parts = sorted(part for part in parts if part.name.lower() != _THUMBNAIL)
    if not parts:
        raise InputError(f"the folder {folder} holds no .parquet file; give a folder of the parts of one table")
    return parts


def _hidden(name: str) -> bool:
    return name.startswith(("_", "."))


def _repeats_rows(folder: Path) -> bool:
    """Whether a folder below the given one is a HATS margin cache, an index or the like."""
    return _properties(folder).get("dataproduct_type", "") not in _ROWS_OF_ITS_OWN


def _main_catalogue(folder: Path) -> Path:
    """Return the catalogue of objects of a HATS collection, or the folder itself."""
    name = _read_properties(folder / _COLLECTION).get("hats_primary_table_url", "")
    if not name:
        return folder
    main = folder / name
    if not main.is_dir() or not main.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            f"the HATS collection {folder} keeps its main catalogue at {in_one_line(name, 100)}, which is no folder in "
            "it; give that folder"
        )
    return main


def _properties(folder: Path) -> dict[str, str]:
    """Read what a HATS catalogue says of itself; empty for any other folder."""
    file = next((folder / name for name in _PROPERTIES if (folder / name).is_file()), None)
    found = _read_properties(file) if file else {}
    if "catalog_type" in found:  # the name before version 1.0
        found.setdefault("dataproduct_type", found["catalog_type"])
    return found


def _read_properties(file: Path) -> dict[str, str]:
    """Read lines of the form `key=value`; empty if there is no such file."""
    if not file.is_file():
        return {}
    with open(file, encoding="utf-8", errors="replace") as text:
        lines = text.read(_LONGEST_PROPERTIES).splitlines()
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {key.strip().lower(): value.strip() for key, _, value in pairs}
