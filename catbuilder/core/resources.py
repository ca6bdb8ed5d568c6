"""Find the shipped SQL and recipes: inside a wheel, or beside the package in a checkout."""

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def sql_folder() -> Path:
    """Give the folder of the migrations, views and named queries."""
    return _shipped("sql")


def rounds_folder() -> Path:
    """Give the folder of the round recipes (TOML)."""
    return _shipped("rounds")


@cache
def query(name: str) -> str:
    """Read the query `sql/queries/<name>.sql`, such as "sets/match_pairs"; its folder is named like the package."""
    return (sql_folder() / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def _shipped(name: str) -> Path:
    # A wheel carries the folder below the package; a checkout or an editable install has it beside the package.
    for folder in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"catbuilder is installed without its {name}/ folder; install it again")
