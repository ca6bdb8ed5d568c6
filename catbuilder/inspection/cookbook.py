"""The SQL cookbook: queries that people ask for, one a file, shipped with the package.

A file's first comment line is its title; comment lines after it say what to know, and what an empty answer means.
"""

import difflib
from dataclasses import dataclass
from pathlib import Path

from catbuilder.core.errors import QueryError
from catbuilder.core.resources import sql_folder


@dataclass(frozen=True)
class Example:
    """A query of the cookbook."""

    name: str  # the file's, without its number: `surest_errors`
    title: str
    remark: str  # may be empty
    sql: str


def examples() -> list[Example]:
    """All of them, in the order of their numbers."""
    return [_read(path) for path in sorted((sql_folder() / "cookbook").glob("*.sql"))]


def example(name: str) -> Example:
    """One of them by its name.

    Raises
    ------
    QueryError
        There is none of this name.
    """
    known = {one.name: one for one in examples()}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        raise QueryError(f"the cookbook has no query '{name}'{hint}; see them with: catbuilder sql --examples")
    return known[name]


def _read(path: Path) -> Example:
    lines = path.read_text(encoding="utf-8").strip().splitlines()
    start = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    title, *remarks = (line.removeprefix("-- ") for line in lines[:start])
    return Example(path.stem.partition("_")[2], title, " ".join(remarks), "\n".join(lines[start:]))
