"""Print results on standard output as a table, CSV or JSON.

JSON gives object ids as text: they exceed 2^53, beyond which JavaScript and many parsers round.
"""

import json
import math
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # importing it takes 0.1 s, too long for an answer of a few rows
    import pyarrow as pa

TABLE_ROWS = 1000  # of a printed table; CSV and JSON give all rows
# Metadata of text columns of an Arrow schema, whose values DuckDB has written as JSON or as numbers of any size.
JSON_TEXT, NUMBER_TEXT = {"catbuilder": "json"}, {"catbuilder": "number"}
_MOST_DIGITS = 17  # of a number with a fraction that every reader of JSON keeps


def show(source: "pa.Table | pa.RecordBatchReader", how: str = "table") -> None:
    """Print a result as `table`, `csv` or `json`."""
    import pyarrow as pa

    batches = source.to_batches() if isinstance(source, pa.Table) else source
    names = unique_names(source.schema.names)
    schema = pa.schema([field.with_name(name) for field, name in zip(source.schema, names, strict=True)])
    renamed = (batch.rename_columns(names) for batch in batches)
    {"table": _as_table, "csv": _as_csv, "json": _as_json}[how](schema, renamed)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[str] = ()) -> None:
    """Print rows as a table, at most `TABLE_ROWS` of them.

    Parameters
    ----------
    right : columns to align right, such as numbers
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table, told = Table(box=box.SIMPLE_HEAD, show_edge=False), 0
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", no_wrap=True)
    for told, row in enumerate(rows, start=1):
        if told <= TABLE_ROWS:
            table.add_row(*(_cell(value) for value in row))
    # in a pipe or file, no cell may be cut off to fit a width
    console = Console(width=None if sys.stdout.isatty() else 10_000, highlight=False)
    console.print(table, markup=False) if told else print("no rows")
    if told > TABLE_ROWS:
        print(f"... the first {TABLE_ROWS:,} of {told:,} rows; use --format csv for all of them")


def unique_names(names: list[str]) -> list[str]:
    """Make column names unique as DuckDB does: the second `a` of SELECT 1 AS a, 2 AS a becomes `a_1`."""
    taken: dict[str, None] = {}  # in order
    for name in names:
        number, unique = 0, name
        while unique in taken:
            number += 1
            unique = f"{name}_{number}"
        taken[unique] = None
    return list(taken)


def numeric_columns(schema: "pa.Schema") -> list[str]:
    """List the columns that hold numbers."""
    from pyarrow import types

    numbers = (types.is_integer, types.is_floating, types.is_decimal)
    return [
        field.name
        for field in schema
        if any(is_number(field.type) for is_number in numbers) or _is_marked(field, NUMBER_TEXT)
    ]


def _is_marked(field: "pa.Field", mark: dict[str, str]) -> bool:
    return (field.metadata or {}).get(b"catbuilder") == mark["catbuilder"].encode()


def to_python_values(column: "pa.Array") -> list[Any]:
    """Convert a column to Python values; to text what Python cannot represent, such as infinite or very early times."""
    import pyarrow as pa

    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        pass
    if pa.types.is_temporal(column.type) and not pa.types.is_interval(column.type):
        return list(column.cast(pa.string()).to_pylist())
    one_by_one = (column.slice(row, 1) for row in range(len(column)))
    return [None if one.null_count else " ".join(one.to_string().split()) for one in one_by_one]


def _as_table(schema: "pa.Schema", batches: Iterable["pa.RecordBatch"]) -> None:
    print_table(schema.names, _rows(batches), numeric_columns(schema))


def _rows(batches: Iterable["pa.RecordBatch"]) -> Iterable[Sequence[Any]]:
    shown = 0
    for batch in batches:
        columns = batch.slice(0, max(0, TABLE_ROWS - shown)).columns
        head = list(zip(*map(to_python_values, columns), strict=True))
        yield from head
        yield from ([] for _ in range(batch.num_rows - len(head)))  # counted only
        shown += batch.num_rows


def _as_csv(schema: "pa.Schema", batches: Iterable["pa.RecordBatch"]) -> None:
    import pyarrow as pa
    import pyarrow.csv

    fields = [pa.field(field.name, pa.string()) if _needs_text(field.type) else field for field in schema]
    options = pa.csv.WriteOptions(quoting_style="needed")
    with pa.csv.CSVWriter(sys.stdout.buffer, pa.schema(fields), write_options=options) as out:
        for batch in batches:
            columns = [
                pa.array([None if value is None else str(value) for value in to_python_values(column)], pa.string())
                if _needs_text(column.type)
                else column
                for column in batch.columns
            ]
            out.write_batch(pa.record_batch(columns, schema=pa.schema(fields)))


def _needs_text(kind: "pa.DataType") -> bool:
    """Whether Arrow's CSV writer cannot write the type: lists, structs, intervals ..."""
    import pyarrow as pa

    plain = (pa.types.is_primitive, pa.types.is_string, pa.types.is_decimal, pa.types.is_null)
    return pa.types.is_interval(kind) or not any(is_kind(kind) for is_kind in plain)


def _as_json(schema: "pa.Schema", batches: Iterable["pa.RecordBatch"]) -> None:
    first = True
    readers = [_from_json if _is_marked(field, JSON_TEXT) else None for field in schema]
    sys.stdout.write("[")
    for batch in batches:
        columns = [
            to_python_values(column) if read is None else list(map(read, to_python_values(column)))
            for column, read in zip(batch.columns, readers, strict=True)
        ]
        for row in zip(*columns, strict=True):
            sys.stdout.write("\n " if first else ",\n ")
            named = zip(schema.names, row, strict=True)
            json.dump({key: _plain(key, value) for key, value in named}, sys.stdout)
            first = False
    sys.stdout.write("]\n" if first else "\n]\n")


def _from_json(text: str | None) -> Any:
    """Read a value that DuckDB has written as JSON; text if it is nested too deeply."""
    if text is None:
        return None
    try:
        return json.loads(text, parse_int=_whole_number, parse_float=_number, parse_constant=lambda name: None)
    except RecursionError:
        return text


def _whole_number(text: str) -> int | str:
    return int(text) if len(text) <= _MOST_DIGITS else text


def _number(text: str) -> float | str:
    digits = text.lower().partition("e")[0].replace(".", "").lstrip("-0")
    return float(text) if len(digits) <= _MOST_DIGITS else text


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def _plain(key: str, value: Any) -> Any:
    """Make a value one that every reader of JSON keeps: no integer beyond 2^53, no NaN, no infinity."""
    if isinstance(value, dict):
        return {name: _plain(name, one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(key, one) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and ("object_id" in key or abs(value) > 2**53):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)
