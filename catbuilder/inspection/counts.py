"""Count objects by columns of the catalogue, at any size, like SELECT ..., count(*) FROM catalog GROUP BY ALL."""

import difflib
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from catbuilder.catalogue.connection import Connection
from catbuilder.catalogue.id_ranges import query_each_range
from catbuilder.catalogue.round_records import NOW, require_round
from catbuilder.catalogue.schema import column_names
from catbuilder.catalogue.where_condition import condition_errors, confined_condition
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.arguments import name_list
from catbuilder.core.errors import QueryError
from catbuilder.core.progress import Update


def count_objects(
    workspace: Workspace,
    by: str | Sequence[str] = ("survey", "source", "label"),
    *,
    at: int | None = None,
    where: str | None = None,
    progress: Update | None = None,
) -> pa.Table:
    """Count objects by the values of some columns of the catalogue.

    The count runs on one range of ids at a time, so that its memory does not grow with the survey.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    by : sequence of str
        Columns of the view `catalog`; default survey, source and label.
    at : int, optional
        Number of a round: as of its end; by default as it is now.
    where : str, optional
        SQL condition on the columns of the view `catalog`; by default all objects.
    progress : callable, optional
        Called with the numbers of ranges of ids done and in all.

    Returns
    -------
    pyarrow.Table
        A row for each combination of values: the columns `by`, and `objects`, their number; sorted by `by`.

    Raises
    ------
    QueryError
        There is no such column, or the condition is not valid.
    RoundError
        There is no round `at`.

    Examples
    --------
    >>> catbuilder.count_objects(workspace, ["survey", "label"], where="mag_r < 17").to_pylist()
    """
    by = name_list(by)
    with workspace.reading() as con:
        _check_columns(con, by)
        if at is not None:
            require_round(con, at)
        condition = confined_condition(con, where)
        columns = ", ".join(f'"{name}"' for name in by)
        text = f"SELECT {columns}, count(*) AS objects FROM catalog_at($at) WHERE {condition} GROUP BY ALL"
        counts: Counter[tuple[object, ...]] = Counter()
        with condition_errors(where):
            for _, rows in query_each_range(con, text, {"at": NOW if at is None else at}, progress):
                for *key, n in rows:
                    counts[tuple(key)] += n
    keys = sorted(counts, key=lambda key: [(value is None, value) for value in key])
    columns_of_keys = {name: [key[place] for key in keys] for place, name in enumerate(by)}
    return pa.table({**columns_of_keys, "objects": [counts[key] for key in keys]})


def _check_columns(con: Connection, by: Sequence[str]) -> None:
    known = column_names(con, "catalog")
    unknown = [name for name in by if name not in known]
    if unknown or not by:
        near = [close for name in unknown for close in difflib.get_close_matches(name, known, n=1)]
        hint = f" (did you mean {' and '.join(near)}?)" if near else ""
        what = (
            f"has no column {' and no '.join(unknown)}{hint}"
            if unknown
            else "can only be counted by one or more columns"
        )
        raise QueryError(f"the catalogue {what}; its columns are {', '.join(known)}")
