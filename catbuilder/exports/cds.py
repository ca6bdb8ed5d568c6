"""Write the catalogue in the CDS format: a file of fixed-width lines, and the byte-by-byte description of its ReadMe.

The format follows the Standards for Astronomical Catalogues, version 2.0 (CDS, 2000;
https://vizier.cds.unistra.fr/doc/catstd.htx): lines of at most 80 characters in the ReadMe, blanks for missing values,
units by name.

astropy's writer (`ascii.mrt`, version 8.0.2) cannot replace this one: it raises an error on a float column with missing
values and on a boolean column, puts ReadMe and data into one file, and needs the whole table in memory. Here Arrow
makes the lines, a few thousand at a time.
"""

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from catbuilder.core.errors import CatalogueDamaged
from catbuilder.exports.arrow_columns import ascii_bytes
from catbuilder.exports.rows import ExportColumn, Selection

_WIDTH = 80
# digits before and after the point, by unit; columns without a unit are probabilities, entropies or shares
_DIGITS = {"deg": (3, 8), "mag": (3, 4), "arcsec": (6, 3)}
_OTHER_DIGITS = (2, 8)
_LONGEST_INTEGERS = {"int64": 20, "int32": 11}


@dataclass(frozen=True)
class CdsColumn:
    """A column of the file: its bytes (from 1) and its Fortran format."""

    column: ExportColumn
    first: int
    width: int
    format: str

    @property
    def last(self) -> int:
        """Return the last byte of the column."""
        return self.first + self.width - 1

    @property
    def bytes(self) -> str:
        """Return the byte range as written in a byte-by-byte description."""
        return f"{self.first:4d}-{self.last:4d}" if self.width > 1 else f"     {self.first:4d}"


def cds_fields(columns: Sequence[ExportColumn]) -> list[CdsColumn]:
    """Lay out the columns, separated by one blank."""
    fields, first = [], 1
    for column in columns:
        width, form = _form(column)
        fields.append(CdsColumn(column, first, width, form))
        first += width + 1
    return fields


def write_cds(selection: Selection, file: Path) -> int:
    """Write the selection as lines of fixed width, and return the length of a line in bytes.

    Raises
    ------
    CatalogueDamaged
        A value is too large for its column.
    """
    fields = cds_fields(selection.columns)
    with open(file, "wb") as out:
        for batch in selection.batches():
            texts = [_texts(field, values) for field, values in zip(fields, batch.columns, strict=True)]
            lines = pc.binary_join_element_wise(*texts, " ")
            out.writelines(line.encode("ascii") + b"\n" for line in lines.to_pylist())
    return fields[-1].last


def describe_bytes(columns: Sequence[ExportColumn]) -> list[str]:
    """Write the byte-by-byte description of a ReadMe, without its title."""
    rule = "-" * _WIDTH
    names = max(len(column.name) for column in columns)
    lines = [rule, f"   Bytes Format Units  {'Label'.ljust(names)} Explanations", rule]
    for field in cds_fields(columns):
        meaning = field.column.meaning
        head = f"{field.bytes:>9s} {field.format:<6s} {meaning.unit or '---':<6s} {field.column.name.ljust(names)} "
        # every column except the key may have missing values, which are blank
        null = "" if field.column.name in ("survey", "object_id") else "? "
        limits = "[0/1] " if field.column.kind == "boolean" else ""
        lines += _hung(head, limits + null + plain_text(meaning.description))
    return [*lines, rule]


def paragraph(text: str, indent: int = 2) -> list[str]:
    """Wrap a text into the lines of a section of a ReadMe."""
    margin = " " * indent
    return textwrap.wrap(plain_text(text), _WIDTH, initial_indent=margin, subsequent_indent=margin)


def plain_text(text: str) -> str:
    """Convert a text to printable ASCII: accents are removed, any other character becomes '?'."""
    letters = (one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return "".join(letter if " " <= letter <= "~" else "?" for letter in letters)


def _form(column: ExportColumn) -> tuple[int, str]:
    if column.kind == "text":
        return column.width, f"A{column.width}"
    if column.kind == "boolean":
        return 1, "I1"
    if column.kind in _LONGEST_INTEGERS:
        width = _LONGEST_INTEGERS[column.kind]
        return width, f"I{width}"
    before, after = _DIGITS.get(column.meaning.unit, _OTHER_DIGITS)
    width = 1 + before + 1 + after  # with a sign
    return width, f"F{width}.{after}"


def _texts(field: CdsColumn, values: pa.Array) -> pa.Array:
    """Format the values as ASCII of the column's width; missing values are blank."""
    kind = field.column.kind
    if kind == "text":
        fixed = ascii_bytes(values, field.width)
        # printable ASCII, padded by zero bytes
        return pc.utf8_rpad(pa.array(fixed.astype(f"U{field.width}")), field.width)
    if kind == "boolean":
        texts = values.cast(pa.int8()).cast(pa.string())
    elif kind in _LONGEST_INTEGERS:
        texts = values.cast(pa.string())
    else:
        texts = _decimals(field, values)
    return pc.utf8_lpad(pc.fill_null(texts, ""), field.width)


def _decimals(field: CdsColumn, values: pa.Array) -> pa.Array:
    after = int(field.format.rpartition(".")[2])
    numbers = pc.if_else(pc.is_finite(values), values, None).cast(pa.float64())
    largest = pc.max(pc.abs(numbers)).as_py() or 0.0
    if largest >= 10 ** (field.width - after - 2) - 0.5 * 10**-after:
        raise CatalogueDamaged(
            f"the column {field.column.name} has the value {largest:g}, which is too large for {field.format}; look at "
            "it with catbuilder sql, or leave cds out of --formats"
        )
    # Arrow writes small decimals with an exponent (0E-8), which an F field cannot have
    steps = pc.round(pc.multiply(numbers, 10.0**after)).cast(pa.int64())
    whole = pc.divide(pc.abs(steps), 10**after)
    rest = pc.subtract(pc.abs(steps), pc.multiply(whole, 10**after))
    digits = pc.utf8_lpad(rest.cast(pa.string()), after, "0")
    sign = pc.if_else(pc.less(steps, 0), "-", "")
    return pc.binary_join_element_wise(sign, whole.cast(pa.string()), ".", digits, "")


def _hung(head: str, text: str) -> list[str]:
    """Wrap an entry of the description; further lines are indented to the explanation."""
    indent = min(len(head), _WIDTH - 30)
    return textwrap.wrap(text, _WIDTH, initial_indent=head, subsequent_indent=" " * indent + " ") or [head.rstrip()]
