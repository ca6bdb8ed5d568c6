"""Values of a query's result as a page shows them: no cell longer than a person reads, whatever it holds.

One cell of a list of five million numbers made a page of 44 MB. So what has no fixed size is written letter by letter,
and no further than is shown.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import types

from catbuilder.core.table_text import to_python_values

LONGEST = 1000  # letters of a cell
_LISTS = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_map)


def cells(column: pa.Array) -> list[Any]:
    """A column's values: numbers and times as they are, all else as text of `LONGEST` letters at most."""
    if types.is_primitive(column.type) or types.is_decimal(column.type):
        return to_python_values(column)
    ones = (column.slice(row, 1) for row in range(len(column)))
    return [None if one.null_count or types.is_null(one.type) else _cut(one) for one in ones]


def _cut(one: pa.Array) -> str:
    text = ""
    for piece in _pieces(one, inside=False):
        text += piece
        if len(text) > LONGEST:
            return f"{text[:LONGEST]} ..."
    return text


def _pieces(one: pa.Array, inside: bool = True) -> Iterator[str]:
    """The text of an array of one value, piece by piece; within another value a text stands in quotes."""
    kind = one.type
    if one.null_count:
        yield "NULL"
    elif any(is_list(kind) for is_list in _LISTS):
        values = one[0].values
        for place in range(len(values)):
            yield ", " if place else "["
            yield from _pieces(values.slice(place, 1))
        yield "]" if len(values) else "[]"
    elif types.is_struct(kind):
        for place, field in enumerate(kind):
            yield f"{', ' if place else '{'}{field.name}: "
            yield from _pieces(one.field(place))
        yield "}"
    elif types.is_union(kind):
        yield from _pieces(one.field(kind.type_codes.index(one[0].type_code)), inside)
    else:
        value = to_python_values(one)[0]
        short = value[: LONGEST + 1] if isinstance(value, str | bytes) else value
        quoted = inside and (types.is_string(kind) or types.is_dictionary(kind))
        yield repr(short) if quoted else str(short)
