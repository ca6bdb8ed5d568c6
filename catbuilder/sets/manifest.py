"""Write the manifests of scorings: every object with a good stamp, in Parquet files.

A manifest is never in memory: a survey's 300 million rows are read, and written, some at a time.
"""

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from catbuilder.catalogue.connection import Connection, fetch_arrow
from catbuilder.catalogue.id_ranges import RANGE_OBJECTS, count_ranges, each_range, restricted_to
from catbuilder.core.errors import NothingToScore
from catbuilder.core.files import atomic_write
from catbuilder.core.recipe import Recipe
from catbuilder.core.resources import query


def write_score_manifest(con: Connection, recipe: Recipe, path: Path, unscored_by: int | None = None) -> int:
    """Write the manifest of a scoring as a Parquet file, atomically, and return its number of rows.

    It lists every object with a good stamp: survey, object_id, shard, row, keep_features; sorted by survey and
    object_id. A large catalogue is read one range of ids after another, so that the rows are never in memory together.

    Features are kept for all test and calibration objects, and for samples of the pool and of the labelled training
    objects. The samples are the same in every round; the recipe's [scoring] gives their sizes.

    Parameters
    ----------
    unscored_by : only objects that this model has not scored yet

    Raises
    ------
    NothingToScore
        There is no such object.
    """
    _make_features_kept(con, recipe)
    what = "not yet scored by that model" if unscored_by is not None else "with a good stamp"
    none = NothingToScore(f"there is no object {what}; ingest images first")
    return write_row_groups(_read_ahead(_score_candidates(con, unscored_by)), path, none)


def write_row_groups(tables: Iterable[pa.Table], path: Path, none: Exception) -> int:
    """Write tables as one Parquet file, atomically, and return its number of rows; raise `none` if there are none.

    The file does not depend on how the rows are split into tables.
    """
    rows = 0
    with atomic_write(path) as temporary, ExitStack() as open_file:
        writer: pq.ParquetWriter | None = None
        for table in _in_row_groups(tables):
            writer = writer or open_file.enter_context(pq.ParquetWriter(temporary, table.schema))
            writer.write_table(table, row_group_size=ROW_GROUP)
            rows += table.num_rows
        if not rows:
            raise none
    return rows


def _make_features_kept(con: Connection, recipe: Recipe) -> None:
    """Make the temporary table `features_kept`; in a large catalogue the samples are of a share of all objects."""
    sizes = {"pool_features": recipe.scoring.pool_features, "labelled_features": recipe.scoring.labelled_features}
    text = f"CREATE OR REPLACE TEMP TABLE features_kept AS {query('sets/features_kept')}"
    parameters = {**sizes, "target": recipe.sets.target}
    ranges = count_ranges(con)
    considered = max(_CONSIDERED, 16 * max(sizes.values()))
    parts = 2 ** max(0, int(math.log2(max(1, ranges * RANGE_OBJECTS // considered))))
    if parts == 1:
        con.execute(text, parameters)
        return
    below = 2**64 // parts
    con.execute(f"CREATE OR REPLACE TEMP TABLE considered AS {query('sets/features_considered')}", {"below": below})
    with restricted_to(con, "considered"):
        con.execute(text, parameters)


def _score_candidates(con: Connection, unscored_by: int | None) -> Iterator[pa.Table]:
    # whether the model has scored an object is asked of the scores; no need to restrict them if there is no model
    read = ("objects", "stamps", "aliases", "revisions", *(("scores",) if unscored_by is not None else ()))
    for _ in each_range(con, light=True, read=read):
        table = fetch_arrow(con, query("sets/score_candidates"), {"unscored_by": unscored_by})
        yield table.set_column(0, "survey", table["survey"].cast(pa.string()))


def _read_ahead(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Read the next table in a thread, while the last one is written."""
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(next, tables, None)
        while (table := waiting.result()) is not None:
            waiting = thread.submit(next, tables, None)
            yield table


def _in_row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Cut tables anew into row groups of one length, so that the file does not depend on how they were read."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        while sum(part.num_rows for part in waiting) >= ROW_GROUP:
            whole = pa.concat_tables(waiting)
            yield whole.slice(0, ROW_GROUP).combine_chunks()
            waiting = [whole.slice(ROW_GROUP)]
    if any(part.num_rows for part in waiting):
        yield pa.concat_tables(waiting).combine_chunks()


ROW_GROUP = 2**20  # rows
_CONSIDERED = 500_000  # objects of a large catalogue among which those whose features are kept are found
