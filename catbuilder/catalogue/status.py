"""Count the objects of a workspace by survey and set; for surveys of millions, show the last count."""

import json
from collections import Counter
from dataclasses import dataclass

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_number
from catbuilder.catalogue.id_ranges import is_large, query_each_range, sql_literal
from catbuilder.catalogue.latest_round_and_run import last_recording
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.files import write_text
from catbuilder.core.progress import Update
from catbuilder.core.resources import query

_KEYS = 2  # columns of the query that say what is counted; the others are counts


@dataclass(frozen=True)
class Status:
    """Result of `status`: counts of objects, and the state of each round.

    Attributes
    ----------
    objects : pyarrow.Table
        Table with numbers of objects by survey and set.
    rounds : pyarrow.Table
        Table with recipe, seed, ranks, last step and its time for each round.
    recordings_since : int or None
        Number of recordings newer than the counts; None if only objects by survey were counted.
    """

    objects: pa.Table
    rounds: pa.Table
    recordings_since: int | None = 0


def status(workspace: Workspace, *, count: bool = False, progress: Update | None = None) -> Status:
    """Count the objects by survey and set, and read the state of each round.

    For a large catalogue the last count is given, since counting takes long; without one, only numbers by survey.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    count : bool
        Count again, however large the catalogue is. Default False.
    progress : callable, optional
        Called with the numbers of ranges of ids done and in all.

    Returns
    -------
    Status
        Tables of objects and rounds, and the number of recordings since the count.

    Examples
    --------
    >>> catbuilder.status(workspace).objects.to_pylist()
    """
    with workspace.reading() as con:
        rounds = con.sql("SELECT * EXCLUDE (planned_at) FROM round_status ORDER BY round").to_arrow_table()
        run = last_recording(con)
        kept = None if count or not is_large(con) else _last_count(workspace)
        if kept is not None and kept[0] <= run:
            return Status(kept[1], rounds, run - kept[0])
        if is_large(con) and not count:
            return Status(_count_surveys(con), rounds, None)
        objects = count_parts(con, progress)
        if is_large(con):
            keep_count(workspace, run, objects)
    return Status(objects, rounds)


def count_parts(con: Connection, progress: Update | None = None) -> pa.Table:
    """Count the objects by survey and set, range by range of ids."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    names: list[str] = []
    for names, rows_of_range in query_each_range(con, query("catalogue/status"), progress=progress):
        for row in rows_of_range:
            key = (row[0], row[1])
            counts.setdefault(key, Counter()).update(dict(zip(names[_KEYS:], row[_KEYS:], strict=True)))
    rows = [dict(zip(names, key, strict=False)) | {name: of_key[name] for name in names[_KEYS:]}
            for key, of_key in sorted(counts.items())]  # fmt: skip
    kinds = [pa.string()] * _KEYS + [pa.int64()] * (len(names) - _KEYS)
    return pa.Table.from_pylist(rows, schema=pa.schema(list(zip(names, kinds, strict=True))))


def _count_surveys(con: Connection) -> pa.Table:
    """Count the objects by survey: with a constant survey, DuckDB counts most blocks without reading them."""
    rows, name = [], ""
    while (
        found := con.execute("SELECT min(survey) FROM objects WHERE survey > ?", [name]).fetchall()[0][0]
    ) is not None:
        name = str(found)
        objects = fetch_number(con, f"SELECT count(*) FROM objects WHERE survey = {sql_literal(name)}")
        rows.append({"survey": name, "objects": objects})
    return pa.Table.from_pylist(rows)


def keep_count(workspace: Workspace, run: int, objects: pa.Table) -> None:
    """Save a count as of a recording, which `status` shows until there is a newer one."""
    write_text(workspace.path / "counts.json", json.dumps({"run": run, "objects": objects.to_pylist()}, indent=1))


def _last_count(workspace: Workspace) -> tuple[int, pa.Table] | None:
    file = workspace.path / "counts.json"
    if not file.is_file():
        return None
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return int(kept["run"]), pa.Table.from_pylist(kept["objects"])
    except (ValueError, KeyError, TypeError):
        return None  # truncated, or of another catbuilder: count again
