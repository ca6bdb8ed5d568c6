"""A lens on the catalogue: every query sees only some of the objects, and costs no more than they do.

A catalogue of 300 million objects does not fit into one join, but all its tables are in the order of the ids, and
DuckDB skips what lies outside a range of them. So what is asked of every object is asked of one range after another, in
memory that does not grow with the survey. Nothing of the SQL changes: temporary views with the names of the tables
stand before them, and the views and macros of `views.sql` (`catalog`, `promotable_at` ...) read those.

A lens is right for what looks at each object by itself. What looks from one object to another (the votes of a
counterpart) sees the whole of the tables that are not keyed by the object.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from queue import SimpleQueue
from typing import Any

from catbuilder.catalogue.connection import Connection, another_connection, fetch_number
from catbuilder.core.machine import usable_cores
from catbuilder.core.progress import Update

RANGE_OBJECTS = 500_000  # twice as many take a quarter longer each, since the joins' tables leave the processor's cache

_KEYED = (
    "objects", "splits", "stamps", "labels", "scores", "domains", "test_sets", "exclusions", "training", "aliases",
    "des_coadd", "sdss_photoobj",
)  # fmt: skip
LARGE_TABLES = ("objects", "splits", "stamps", "domains")  # the large ones that `places_at` reads
_LAST = 2**63 - 1  # the largest number there is for an id
_FIRST = -_LAST


@dataclass(frozen=True)
class IdRange:
    """Objects of one survey with ids from `first` to `last`."""

    survey: str
    first: int
    last: int

    @property
    def condition(self) -> str:
        """SQL on `survey` and `object_id`, with the values in it: only by constants blocks are skipped."""
        ids = f"object_id BETWEEN {self.first}::BIGINT AND {self.last}::BIGINT"
        return f"WHERE survey = {sql_literal(self.survey)} AND {ids}"

    @property
    def light_columns(self) -> str:
        """SQL for all columns, with the survey as an ENUM of one value: joins on it cost a quarter less."""
        return f"* REPLACE ({sql_literal(self.survey)}::ENUM({sql_literal(self.survey)}) AS survey)"


def sql_literal(name: str) -> str:
    """A name as a constant in SQL."""
    return "'" + name.replace("'", "''") + "'"


@contextmanager
def restricted_to(
    con: Connection, seen: IdRange | str, gathered: Sequence[str] = (), model: int | None = None, light: bool = False
) -> Iterator[None]:
    """While the body runs, every query of this connection sees only these objects.

    Parameters
    ----------
    seen : a range of ids, or the name of a temporary table with the columns survey and object_id
    gathered : tables as large as the survey that the body reads, best put aside beforehand for chosen objects
    model : the only one whose scores are seen; by default all
    light : of a range of ids, give `survey` as an ENUM, for a body that keeps no table of it
    """
    restricted = seen.condition if isinstance(seen, IdRange) else f"SEMI JOIN temp.{seen} USING (survey, object_id)"
    columns = seen.light_columns if isinstance(seen, IdRange) and light else "*"
    (database,) = con.execute("SELECT current_database()").fetchall()[0]
    try:
        for table in _KEYED:
            source = f'"{database}".main.{table}'
            if table == "scores" and model is not None:
                source = f"(SELECT * FROM {source} WHERE model = {model:d})"
            if table in gathered:
                # Other surveys' objects of the same number come along. But only a join by a single column tells the
                # scan what it need not read: of 300 million rows that takes a quarter of the time.
                con.execute(f"CREATE OR REPLACE TEMP TABLE near_{table} AS SELECT * FROM {source} "
                            f"SEMI JOIN temp.{seen} USING (object_id)")  # fmt: skip
                source = f"temp.near_{table}"
            con.execute(f"CREATE TEMP VIEW {table} AS SELECT {columns} FROM {source} {restricted}")
        # other tables' revisions serve what looks from one object to another
        con.execute(
            f'CREATE TEMP VIEW revisions AS SELECT {columns} FROM "{database}".main.revisions {restricted} UNION ALL '
            f"SELECT * FROM \"{database}\".main.revisions WHERE table_name = 'galaxy_zoo'"
        )
        yield
    finally:
        for table in (*_KEYED, "revisions"):
            con.execute(f"DROP VIEW IF EXISTS temp.{table}")
        for table in gathered:
            con.execute(f"DROP TABLE IF EXISTS temp.near_{table}")


def id_ranges(con: Connection, objects: int) -> list[IdRange]:
    """Ranges of about so many objects that together hold every object once, in the order of survey and id."""
    finer = max(1, objects // 16)  # rows need not lie in the order of the ids throughout
    marks = con.execute(
        "SELECT survey, object_id FROM objects WHERE rowid % $finer = 0 "
        "UNION SELECT survey, min(object_id) FROM objects GROUP BY survey ORDER BY ALL",
        {"finer": finer},
    ).fetchall()
    ranges = []
    for survey, of_survey in groupby(marks, key=itemgetter(0)):
        ids = [object_id for _, object_id in of_survey]
        # what other tables hold of ids that no object has is seen too
        edges = [_FIRST, *ids[1:][:: max(1, objects // finer)], _LAST + 1]
        ranges += [IdRange(survey, edge, following - 1) for edge, following in pairwise(edges)]
    return ranges


def is_large(con: Connection) -> bool:
    """Whether the catalogue is better looked at range by range."""
    return fetch_number(con, "SELECT count(*) FROM objects") > 4 * RANGE_OBJECTS


def each_range(con: Connection) -> Iterator[None]:
    """One turn a range, each under its lens; one without any where the catalogue is small."""
    ranges = id_ranges(con, RANGE_OBJECTS) if is_large(con) else []
    for seen in ranges:
        with restricted_to(con, seen):
            yield
    if not ranges:
        yield


def query_each_range(
    con: Connection, text: str, parameters: Mapping[str, object] | None = None, progress: Update | None = None
) -> Iterator[tuple[list[str], list[tuple[Any, ...]]]]:
    """Names of the columns and rows of a SELECT over the catalogue, range by range, on all cores.

    For a connection without an open transaction: others read beside it, and would not see what it has not committed.
    """
    ranges: Sequence[IdRange | None] = id_ranges(con, RANGE_OBJECTS) if is_large(con) else [None]

    idle: SimpleQueue[Connection] = SimpleQueue()
    for _ in range(min(usable_cores(), len(ranges))):
        idle.put(another_connection(con))

    def ask(seen: IdRange | None) -> tuple[list[str], list[tuple[Any, ...]]]:
        own = idle.get()
        try:
            with nullcontext() if seen is None else restricted_to(own, seen, light=True):
                found = own.execute(text, dict(parameters or {}))
                return [column[0] for column in found.description or []], found.fetchall()
        finally:
            idle.put(own)

    with ThreadPoolExecutor(usable_cores()) as threads:
        for done, answer in enumerate(threads.map(ask, ranges), start=1):
            yield answer
            if progress:
                progress(done, len(ranges))


def make_table(con: Connection, table: str, text: str, parameters: Mapping[str, object] | None = None) -> None:
    """Make the temporary table `table` of a SELECT over the catalogue, one range after another."""
    made = False
    for _ in each_range(con):
        con.execute(f"INSERT INTO temp.{table} {text}" if made else f"CREATE OR REPLACE TEMP TABLE {table} AS {text}",
                    dict(parameters or {}))  # fmt: skip
        made = True
