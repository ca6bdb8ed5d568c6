"""Read the SQL cookbook: example queries that ship with the package, one per file.

The first comment line of a file is its title; further comment lines explain the query and an empty result.
"""

import difflib
from dataclasses import dataclass
from pathlib import Path

from catbuilder.core.errors import QueryError
from catbuilder.core.resources import sql_folder


@dataclass(frozen=True)
class CookbookQuery:
    """A query of the cookbook."""

    name: str  # file name without its number
    title: str
    remark: str  # may be empty
    sql: str


def cookbook_queries() -> list[CookbookQuery]:
    """Read all queries of the cookbook, in the order of their numbers."""
    return [_read(path) for path in sorted((sql_folder() / "cookbook").glob("*.sql"))]


def cookbook_query(name: str) -> CookbookQuery:
    """Read one query of the cookbook by its name.

    Raises
    ------
    QueryError
        There is no query of this name.
    """
    known = {one.name: one for one in cookbook_queries()}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        raise QueryError(f"the cookbook has no query '{name}'{hint}; see them with: catbuilder sql --examples")
    return known[name]


def _read(path: Path) -> CookbookQuery:
    lines = path.read_text(encoding="utf-8").strip().splitlines()
    start = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    title, *remarks = (line.removeprefix("-- ") for line in lines[:start])
    return CookbookQuery(path.stem.partition("_")[2], title, " ".join(remarks), "\n".join(lines[start:]))
