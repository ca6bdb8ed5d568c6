"""Compare the catalogue at the ends of two closed rounds: labels, predicted classes, and reasons.

The catalogue as of a closed round never changes, so two rounds can be compared at any time. Objects are read one range
of ids at a time; only the counts of each kind of change and a few examples are kept in memory.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from catbuilder.catalogue.connection import Connection, fetch_arrow
from catbuilder.catalogue.id_ranges import each_range, query_each_range
from catbuilder.catalogue.round_records import require_closed
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import RoundError
from catbuilder.core.files import atomic_write
from catbuilder.core.paths import file_to_write
from catbuilder.core.progress import Reporter
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted

CHANGES = ("added", "changed", "retracted", "restated")
"""Kinds of changes: a new label; another label; no label any more; the same label from another source."""

_LABELS = ("change", "label_before", "source_before", "label_after", "source_after")
_PREDICTIONS = ("predicted_before", "predicted_after")
_TEXTS = pa.string()


@dataclass(frozen=True)
class RoundDiff:
    """Changes from the end of round `first` to the end of round `last`.

    Attributes
    ----------
    first : int
        Number of the earlier round.
    last : int
        Number of the later round.
    labels : pyarrow.Table
        Table with the columns change, label_before, source_before, label_after, source_after and objects (number).
    predictions : pyarrow.Table
        Table with the columns predicted_before, predicted_after and objects (number), for all objects.
    events : pyarrow.Table
        Table with the columns round, event ('label' or 'retraction'), source, label and objects (number).
    examples : pyarrow.Table
        Some objects of each kind of change, with the reason.
    """

    first: int
    last: int
    labels: pa.Table
    predictions: pa.Table
    events: pa.Table
    examples: pa.Table

    def sentences(self) -> list[str]:
        """Return the numbers of changed labels and predictions as sentences."""
        changes: Counter[str] = Counter()
        for row in self.labels.to_pylist():
            changes[row["change"]] += row["objects"]
        told = [f"{changes[change]:,} {change}" for change in CHANGES if changes[change]]
        moved = sum(
            row["objects"]
            for row in self.predictions.to_pylist()
            if None not in row.values() and row["predicted_before"] != row["predicted_after"]
        )
        return [
            f"From round {self.first} to round {self.last}: labels: {', '.join(told) or 'no change'}; "
            f"the predicted class of {counted(moved, 'object')} changed."
        ]


def diff(
    workspace: Workspace, first: int, last: int, *, examples: int = 3, reporter: Reporter | None = None
) -> RoundDiff:
    """Compare the catalogue at the ends of two closed rounds.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    first, last : int
        Numbers of two closed rounds, the earlier one first.
    examples : int
        Largest number of objects to list for each kind of change; default 3.
    reporter : Reporter, optional
        Shows progress and messages; by default nothing is printed.

    Returns
    -------
    RoundDiff
        Tables that count changed labels, changed predictions and events, and a table of examples.

    Raises
    ------
    RoundError
        A round does not exist or is not closed, or `first` is not before `last`.

    Examples
    --------
    >>> catbuilder.diff(workspace, 1, 2).labels.to_pylist()
    """
    reporter = reporter or Reporter(quiet=True)
    bound = {"first": first, "last": last}
    with workspace.reading() as con:
        _check(con, first, last)
        events = fetch_arrow(con, query("inspection/diff_events"), bound)
        counts = _counts(con, bound, reporter)
        listed = _examples(con, bound, examples, counts, reporter)
    labels = _summed(counts, _LABELS)
    of_labels = labels.filter(pa.compute.is_valid(labels["change"]))
    return RoundDiff(first, last, of_labels, _summed(counts, _PREDICTIONS), events, listed)


def write_changed(workspace: Workspace, first: int, last: int, file: Path, reporter: Reporter | None = None) -> int:
    """Write every object whose label or predicted class changed to a CSV file, and return their number.

    Raises
    ------
    RoundError
        As `diff` does.
    InputError
        The file is a folder, or its folder does not exist.
    """
    file = file_to_write(file)
    written = 0
    text = query("inspection/diff_changed").format(objects=query("inspection/diff_objects"))
    with workspace.reading() as con, (reporter or Reporter(quiet=True)).bar("writing"):
        _check(con, first, last)
        bound = {"first": first, "last": last}
        schema = con.sql(f"SELECT * FROM ({text}) LIMIT 0", params=bound).to_arrow_table().schema
        with atomic_write(file) as temporary, pa.csv.CSVWriter(str(temporary), schema) as out:
            for _ in each_range(con):
                for batch in con.sql(text, params=bound).to_arrow_reader(65_536):
                    out.write_batch(batch)
                    written += batch.num_rows
    return written


def _check(con: Connection, first: int, last: int) -> None:
    for number in (first, last):
        require_closed(con, number)
    if first >= last:
        raise RoundError(
            f"round {first} is not before round {last}; give the earlier round with --from, the later with --to"
        )


def _counts(con: Connection, bound: dict[str, int], reporter: Reporter) -> Counter[tuple[str | None, ...]]:
    """Count objects by `_LABELS` and `_PREDICTIONS`."""
    text = query("inspection/diff_counts").format(objects=query("inspection/diff_objects"))
    counts: Counter[tuple[str | None, ...]] = Counter()
    with reporter.bar("comparing") as update:
        for _, rows in query_each_range(con, text, bound, update):
            for *key, n in rows:
                counts[tuple(key)] += n
    return counts


def _summed(counts: Counter[tuple[str | None, ...]], names: tuple[str, ...]) -> pa.Table:
    """Sum the counts over all but some columns, sorted by these."""
    places = [(_LABELS + _PREDICTIONS).index(name) for name in names]
    sums: Counter[tuple[str | None, ...]] = Counter()
    for key, n in counts.items():
        sums[tuple(key[place] for place in places)] += n
    keys = sorted(sums, key=lambda key: [(part is None, part or "") for part in key])
    columns = {name: pa.array([key[i] for key in keys], _TEXTS) for i, name in enumerate(names)}
    return pa.table({**columns, "objects": pa.array([sums[key] for key in keys], pa.int64())})


def _examples(
    con: Connection, bound: dict[str, int], most: int, counts: Counter[tuple[str | None, ...]], reporter: Reporter
) -> pa.Table:
    """List the first objects of each kind of change, and stop when there are enough."""
    wanted: Counter[str] = Counter()
    for (change, *_), n in counts.items():
        if change is not None:
            wanted[change] = min(most, wanted[change] + n)
    text = query("inspection/diff_examples").format(objects=query("inspection/diff_objects"))
    found: dict[str, list[dict[str, Any]]] = {change: [] for change in CHANGES}
    schema = con.sql(f"SELECT * FROM ({text}) LIMIT 0", params=bound | {"examples": most}).to_arrow_table().schema
    with reporter.bar("looking for examples"):
        for _ in each_range(con):
            if all(len(found[change]) >= n for change, n in wanted.items()):
                break
            for row in fetch_arrow(con, text, bound | {"examples": most}).to_pylist():
                if len(found[row["change"]]) < most:
                    found[row["change"]].append(row)
    return pa.Table.from_pylist([row for rows in found.values() for row in rows], schema=schema)
