"""Check a path that a user gave before any work is done for it: it has a name, and can be written."""

import os
from pathlib import Path

from catbuilder.core.errors import InputError

FIGURES = (".png", ".pdf", ".svg")
_OF_A_WORKSPACE = ("catalog.duckdb", "catalog.duckdb.wal", "catbuilder.toml", "log.jsonl")


def named_path(path: str | Path, what: str) -> Path:
    """Give a path; raise InputError for an empty text, which would mean the current folder.

    Parameters
    ----------
    what : name of the argument, for the message
    """
    if not str(path).strip():
        raise InputError(f"{what} is empty, as a shell variable is that was never set; give a name")
    # pyarrow and astropy take a ~ for the home folder, which the shell has done already where it was meant
    return Path(path).absolute() if str(path).startswith("~") else Path(path)


def file_to_write(path: str | Path, what: str = "the file to write") -> Path:
    """Give the path of a file that can be written; one that is there already is replaced when the new one is whole.

    Raises
    ------
    InputError
        The path is empty, has no file name, is a folder or a file of a workspace, or its folder is not there or may
        not be written to.
    """
    file = named_path(path, what)
    if not file.name or file.name == ".." or str(path).endswith(os.sep):
        raise InputError(f"'{path}' names no file to write; give a file name")
    if file.is_dir():
        raise InputError(f"{file} is a folder; give the name of a file, such as {file / 'NAME'}")
    if file.name in _OF_A_WORKSPACE:
        raise InputError(f"{file} has the name of a file of a workspace, which would be lost; give another name")
    if not file.parent.exists():
        raise InputError(f"there is no folder {file.parent}; make it, or choose another place for {file.name}")
    _require_writable(file.parent, file)
    if file.exists() and not file.is_file():
        raise InputError(f"{file} is not an ordinary file; give another name")
    return file


def figure_to_write(path: str | Path) -> Path:
    """Give the path of a figure that can be written; raise InputError as `file_to_write`, or for another format."""
    file = file_to_write(path)
    if file.suffix.lower() not in FIGURES:
        raise InputError(f"{file} is not a supported figure format; give a name that ends in {', '.join(FIGURES)}")
    return file


def folder_to_write(path: str | Path, what: str = "the folder to write") -> Path:
    """Give the path of a folder that is there and can be written to, or that can be made.

    Raises
    ------
    InputError
        The path is empty or a file, or a folder in it is a file or may not be written to.
    """
    folder = named_path(path, what)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give the name of a folder")
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    _require_writable(there, folder)
    return folder


def _require_writable(place: Path, target: Path) -> None:
    if not place.is_dir():
        raise InputError(f"{place} is a file and not a folder, so {target} cannot be written; give another path")
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(f"{place} may not be written to; change its permissions, or choose another place")
