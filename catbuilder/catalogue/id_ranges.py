"""Restrict queries to a range of object ids, so that they cost no more than that range.

300 million objects do not fit into one join, but all tables are in the order of the ids, and DuckDB skips blocks
outside a range of them. So a query about every object runs on one range after another, in memory that does not grow
with the survey. The SQL does not change: temporary views with the names of the tables hide them, and the views and
macros of `views.sql` (`catalog`, `promotable_at` ...) read these.

This is right for queries that look at each object by itself. Queries that look from one object to another, such as at
the votes of a counterpart, still see all rows of the tables that are not restricted.
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

RANGE_OBJECTS = (
    500_000  # with twice as many, each takes a quarter longer: the joins' hash tables no longer fit the CPU cache
)

_RESTRICTED = (
    "objects", "splits", "stamps", "labels", "scores", "domains", "test_sets", "exclusions", "training", "aliases",
    "des_coadd", "sdss_photoobj", "revisions",
)  # fmt: skip
LARGE_TABLES = ("objects", "splits", "stamps", "domains")  # those that the macro `places_at` reads
_LAST = 2**63 - 1  # the largest possible id
_FIRST = -_LAST


@dataclass(frozen=True)
class IdRange:
    """Objects of one survey with ids from `first` to `last`."""

    survey: str
    first: int
    last: int

    @property
    def condition(self) -> str:
        """Give the WHERE clause. It holds the values as constants, since only then DuckDB skips blocks."""
        ids = f"object_id BETWEEN {self.first}::BIGINT AND {self.last}::BIGINT"
        return f"WHERE survey = {sql_literal(self.survey)} AND {ids}"

    @property
    def light_columns(self) -> str:
        """Give the SELECT list, with the survey as an ENUM of one value: joins then cost a quarter less."""
        return f"* REPLACE ({sql_literal(self.survey)}::ENUM({sql_literal(self.survey)}) AS survey)"


def sql_literal(name: str) -> str:
    """Quote a text as a constant in SQL."""
    return "'" + name.replace("'", "''") + "'"


@contextmanager
def restricted_to(
    con: Connection,
    seen: IdRange | str,
    gathered: Sequence[str] = (),
    model: int | None = None,
    light: bool = False,
    read: Sequence[str] = _RESTRICTED,
) -> Iterator[None]:
    """Show every query of this connection only these objects while the body runs.

    Parameters
    ----------
    seen : a range of ids, or the name of a temporary table with the columns survey and object_id
    gathered : large tables that the body reads; their rows of the chosen objects are first copied to temporary tables
    model : show only the scores of this model; by default all
    light : for a range of ids, give `survey` as an ENUM, which is faster; the body must not store it in a table
    read : the tables that the body reads; by default any
    """
    restricted = seen.condition if isinstance(seen, IdRange) else f"SEMI JOIN temp.{seen} USING (survey, object_id)"
    columns = seen.light_columns if isinstance(seen, IdRange) and light else "*"
    (database,) = con.execute("SELECT current_database()").fetchall()[0]
    try:
        for table in read:
            source = f'"{database}".main.{table}'
            if table == "scores" and model is not None:
                source = f"(SELECT * FROM {source} WHERE model = {model:d})"
            if table in gathered:
                # This copies other surveys' objects of the same number too. But only a join on a single column lets the
                # scan skip blocks, which takes a quarter of the time for 300 million rows.
                con.execute(f"CREATE OR REPLACE TEMP TABLE near_{table} AS SELECT * FROM {source} "
                            f"SEMI JOIN temp.{seen} USING (object_id)")  # fmt: skip
                source = f"temp.near_{table}"
            view = f"SELECT {columns} FROM {source} {restricted}"
            if table == "revisions":  # those of `galaxy_zoo`, which is not restricted, give the votes of counterparts
                view += f" UNION ALL SELECT * FROM {source} WHERE table_name = 'galaxy_zoo'"
            con.execute(f"CREATE TEMP VIEW {table} AS {view}")
        yield
    finally:
        for table in read:
            con.execute(f"DROP VIEW IF EXISTS temp.{table}")
        for table in gathered:
            con.execute(f"DROP TABLE IF EXISTS temp.near_{table}")


def id_ranges(con: Connection, objects: int) -> list[IdRange]:
    """Cut the catalogue into ranges of about so many objects, in the order of survey and id."""
    finer = max(1, objects // 16)  # rows need not be completely in the order of the ids
    marks = con.execute(
        "SELECT survey, object_id FROM objects WHERE rowid % $finer = 0 "
        "UNION SELECT survey, min(object_id) FROM objects GROUP BY survey ORDER BY ALL",
        {"finer": finer},
    ).fetchall()
    ranges = []
    for survey, of_survey in groupby(marks, key=itemgetter(0)):
        ids = [object_id for _, object_id in of_survey]
        # the first and last range also include rows of other tables whose id no object has
        edges = [_FIRST, *ids[1:][:: max(1, objects // finer)], _LAST + 1]
        ranges += [IdRange(survey, edge, following - 1) for edge, following in pairwise(edges)]
    return ranges


def is_large(con: Connection) -> bool:
    """Whether the catalogue is so large that queries should run range by range."""
    return count_ranges(con) > 1


def count_ranges(con: Connection) -> int:
    """Count the ranges of `RANGE_OBJECTS` in the catalogue; 1 if it is so small that queries see all at once."""
    objects = fetch_number(con, "SELECT count(*) FROM objects")
    return objects // RANGE_OBJECTS if objects > 4 * RANGE_OBJECTS else 1


def each_range(con: Connection, light: bool = False, read: Sequence[str] = _RESTRICTED) -> Iterator[None]:
    """Restrict the connection to each range in turn; yield once, unrestricted, if the catalogue is small.

    Parameters
    ----------
    light, read : as in `restricted_to`
    """
    ranges = id_ranges(con, RANGE_OBJECTS) if is_large(con) else []
    for seen in ranges:
        with restricted_to(con, seen, light=light, read=read):
            yield
    if not ranges:
        yield


def query_each_range(
    con: Connection, text: str, parameters: Mapping[str, object] | None = None, progress: Update | None = None
) -> Iterator[tuple[list[str], list[tuple[Any, ...]]]]:
    """Run a SELECT over the catalogue range by range, on all cores; yield column names and rows of each range.

    The connection must have no open transaction: the query runs on other connections, which see only committed rows.
    """
    for (answer,) in queries_each_range(con, [text], parameters, progress):
        yield answer


def queries_each_range(
    con: Connection,
    texts: Sequence[str],
    parameters: Mapping[str, object] | None = None,
    progress: Update | None = None,
) -> Iterator[list[tuple[list[str], list[tuple[Any, ...]]]]]:
    """Run several SELECTs in the same way, each range restricted once for all of them; yield the answers in order."""
    ranges: Sequence[IdRange | None] = id_ranges(con, RANGE_OBJECTS) if is_large(con) else [None]

    idle: SimpleQueue[Connection] = SimpleQueue()
    for _ in range(min(usable_cores(), len(ranges))):
        idle.put(another_connection(con))

    def answer(own: Connection, text: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        found = own.execute(text, dict(parameters or {}))
        return [column[0] for column in found.description or []], found.fetchall()

    def ask(seen: IdRange | None) -> list[tuple[list[str], list[tuple[Any, ...]]]]:
        own = idle.get()
        try:
            with nullcontext() if seen is None else restricted_to(own, seen, light=True):
                return [answer(own, text) for text in texts]
        finally:
            idle.put(own)

    with ThreadPoolExecutor(usable_cores()) as threads:
        for done, answers in enumerate(threads.map(ask, ranges), start=1):
            yield answers
            if progress:
                progress(done, len(ranges))


def make_table(con: Connection, table: str, text: str, parameters: Mapping[str, object] | None = None) -> None:
    """Create the temporary table `table` from a SELECT over the catalogue, one range after another."""
    made = False
    for _ in each_range(con):
        con.execute(f"INSERT INTO temp.{table} {text}" if made else f"CREATE OR REPLACE TEMP TABLE {table} AS {text}",
                    dict(parameters or {}))  # fmt: skip
        made = True
