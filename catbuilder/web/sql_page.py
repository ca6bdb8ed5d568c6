"""A box for SQL: the query runs in the same sandboxed child as that of `catbuilder sql`."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Form
from fastapi.responses import Response

from catbuilder.catalog import data_dictionary
from catbuilder.errors import QueryError
from catbuilder.output import numeric_columns, told_apart
from catbuilder.sandbox import query_stream
from catbuilder.web.apart import few_at_once
from catbuilder.web.site import Here, Site

router = APIRouter()

ROWS = 500  # more than a person reads
TIMEOUT_S = 20.0  # while it runs, no round can record
EXAMPLES = (
    ("What there is", "SELECT survey, label, source, count(*) AS objects FROM catalog GROUP BY ALL ORDER BY ALL"),
    ("The least sure", "SELECT survey, object_id, predicted_label, predicted_confidence\nFROM catalog\n"
     "WHERE label IS NULL AND domain = 'in'\nORDER BY predicted_confidence LIMIT 50"),
    ("Labels a round", "SELECT round, source, kind, label, count(*) AS events\nFROM labels\n"
     "GROUP BY ALL ORDER BY ALL"),
    ("How well it did", "SELECT round, test_set, survey, value AS accuracy, low, high, n\nFROM metrics\n"
     "WHERE metric = 'accuracy' AND coverage = 1 AND variable IS NULL\nORDER BY ALL"),
)  # fmt: skip


@router.get("/sql")
def ask(here: Here) -> Response:
    """The empty box."""
    return _shown(here, text="")


@router.post("/sql")
def answer(here: Here, text: Annotated[str, Form()] = "") -> Response:
    """The first rows of the query's result, or why there are none."""
    started = time.monotonic()
    try:
        with few_at_once, query_stream(here.workspace, text, timeout_s=TIMEOUT_S) as reader:
            names = told_apart(reader.schema.names)
            right = numeric_columns(reader.schema)
            rows: list[list[Any]] = []
            for batch in reader:
                values = [column.to_pylist() for column in batch.slice(0, ROWS + 1 - len(rows)).columns]
                rows += map(list, zip(*values, strict=True))
                if len(rows) > ROWS:
                    break
    except QueryError as error:
        said = str(error).replace("raise --timeout", "use: catbuilder sql --timeout")
        return _shown(here, status=400, text=text, complaint=f"{said[:1].upper()}{said[1:]}.")
    columns = [(name, theirs in right) for name, theirs in zip(names, reader.schema.names, strict=True)]
    took = time.monotonic() - started
    return _shown(here, text=text, columns=columns, rows=rows[:ROWS], more=len(rows) > ROWS, took=took)


def _shown(here: Site, status: int = 200, **found: Any) -> Response:
    with here.workspace.reading() as con:
        tables = con.execute(
            "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() "
            "WHERE NOT internal AND table_name <> 'catalog' GROUP BY table_name ORDER BY table_name"
        ).fetchall()
        dictionary = data_dictionary(con, "catalog")
    values: dict[str, Any] = {"columns": None, "rows": [], "more": False, "took": 0.0, "complaint": None}
    return here.page("sql.html", status, **values | found, tables=tables, dictionary=dictionary,
                     examples=EXAMPLES,
                     most=ROWS, timeout=TIMEOUT_S)  # fmt: skip
