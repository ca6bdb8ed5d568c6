"""Write the values of a query's result as text of limited length.

One cell with a list of five million numbers made a page of 44 MB. So values without a fixed size are written piece by
piece, only as far as they are shown.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import types

from catbuilder.core.table_text import to_python_values

LONGEST = 1000  # characters of a cell
_LISTS = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_map)


def cells(column: pa.Array) -> list[Any]:
    """Return the values of a column: numbers and times unchanged, others as text of at most `LONGEST` characters."""
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
    """Yield the text of an array of one value in pieces; strings inside another value are quoted."""
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
