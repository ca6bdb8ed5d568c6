"""The SQL page: run a query in the same sandboxed process as `catbuilder sql`."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Form
from fastapi.responses import Response

from catbuilder.catalogue.schema import data_dictionary
from catbuilder.core.errors import QueryError, WorkspaceBusy
from catbuilder.core.table_text import numeric_columns, unique_names
from catbuilder.inspection.sandbox import query_stream
from catbuilder.web.child_process import limited_slot
from catbuilder.web.site import CurrentSite, Site

router = APIRouter()

ROWS, COLUMNS = 500, 1000  # largest result that is shown
LARGEST_MB = 8  # of the first rows; their page takes several times as much
LONGEST = 1000  # characters of a value: one list of five million numbers made a page of 44 MB
TIMEOUT_S = 20.0  # a round cannot record while a query runs
EXAMPLES = (
    ("Objects by label", "SELECT survey, label, source, count(*) AS objects FROM catalog GROUP BY ALL ORDER BY ALL"),
    ("Lowest confidence", "SELECT survey, object_id, predicted_label, predicted_confidence\nFROM catalog\n"
     "WHERE label IS NULL AND domain = 'in'\nORDER BY predicted_confidence LIMIT 50"),
    ("Labels by round", "SELECT round, source, kind, label, count(*) AS events\nFROM labels\n"
     "GROUP BY ALL ORDER BY ALL"),
    ("Accuracy by round", "SELECT round, test_set, survey, value AS accuracy, low, high, n\nFROM metrics\n"
     "WHERE metric = 'accuracy' AND coverage = 1 AND variable IS NULL\nORDER BY ALL"),
)  # fmt: skip


@router.get("/sql")
def sql_form(site: CurrentSite) -> Response:
    """Show the empty form."""
    return _shown(site, text="")


@router.post("/sql")
def answer_query(site: CurrentSite, text: Annotated[str, Form()] = "") -> Response:
    """Show the first rows of the result, or why there are none."""
    try:
        with limited_slot():  # making the page counts as part of the query
            return _shown(site, text=text, **_first_rows(site, text))
    except (QueryError, WorkspaceBusy) as error:
        said = str(error).replace("raise --timeout", "use: catbuilder sql --timeout")
        status = 503 if isinstance(error, WorkspaceBusy) else 400
        return _shown(site, status, text=text, complaint=f"{said[:1].upper()}{said[1:]}.")


def _first_rows(site: Site, text: str) -> dict[str, Any]:
    started, rows = time.monotonic(), list[list[Any]]()
    limits = {"batch_rows": ROWS + 1, "largest_mb": LARGEST_MB, "longest": LONGEST}
    with query_stream(site.workspace, text, timeout_s=TIMEOUT_S, values="text", **limits) as reader:
        if len(reader.schema) > COLUMNS:
            raise QueryError(
                f"the result has {len(reader.schema):,} columns, more than {COLUMNS:,}; name those you need"
            )
        right, names = numeric_columns(reader.schema), unique_names(reader.schema.names)
        columns = [(name, theirs in right) for name, theirs in zip(names, reader.schema.names, strict=True)]
        for batch in reader:
            values = [column.to_pylist() for column in batch.slice(0, ROWS + 1 - len(rows)).columns]
            rows += ([_cut(value) for value in row] for row in zip(*values, strict=True))
            if len(rows) > ROWS:
                break
    return {"columns": columns, "rows": rows[:ROWS], "more": len(rows) > ROWS, "took": time.monotonic() - started}


def _cut(value: Any) -> Any:
    return f"{value[:LONGEST]} ..." if isinstance(value, str) and len(value) > LONGEST else value


def _shown(site: Site, status: int = 200, **found: Any) -> Response:
    with site.workspace.reading() as con:
        tables = con.execute(
            "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() "
            "WHERE NOT internal AND table_name <> 'catalog' GROUP BY table_name ORDER BY table_name"
        ).fetchall()
        dictionary = data_dictionary(con, "catalog")
    values: dict[str, Any] = {"columns": None, "rows": [], "more": False, "took": 0.0, "complaint": None}
    return site.page("sql.html", status, **values | found, tables=tables, dictionary=dictionary,
                     examples=EXAMPLES,
                     most=ROWS, timeout=TIMEOUT_S)  # fmt: skip
