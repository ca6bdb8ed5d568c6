"""Write VOTable: the document that describes the columns, and rows in BINARY2, streamed in constant memory.

The format is VOTable 1.4 (IVOA Recommendation, 2019). Text has a fixed width, so that all rows have the same length; a
column with non-ASCII text is `unicodeChar`. Missing values are marked in BINARY2's mask, so that they differ from NaN
and from empty text. The document without rows also describes FITS-plus, VOParquet and HATS.
"""

import binascii
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree as xml

import numpy as np
import numpy.typing as npt

from catbuilder.exports.arrow_columns import null_mask
from catbuilder.exports.binary_rows import RowFormat
from catbuilder.exports.provenance import ProvenanceEntry
from catbuilder.exports.rows import BATCH_ROWS, ExportColumn, Selection

_FORMAT = RowFormat({"int64": 0, "int32": 0, "boolean": ord("?")}, utf16=True)
_DATATYPES = {"int64": "long", "int32": "int", "double": "double", "float": "float", "boolean": "boolean"}
_LINE = 57  # bytes in a line of 76 characters, the length that MIME and most writers use
_POSITION = ("ra", "dec")


def write_votable(selection: Selection, file: Path) -> None:
    """Write the selection as a VOTable with a base64 stream of BINARY2 rows."""

    def around() -> tuple[str, str, str]:
        return _document(selection.columns, selection.facts, selection.rows, data=True).rpartition("@rows@")

    with open(file, "wb") as out:
        out.write(around()[0].encode())
        for lines in _base64_lines(_rows(selection)):
            out.write(lines)
        head, _, tail = around()  # now with the number of rows, and of the same length
        out.write(tail.encode())
        out.seek(0)
        out.write(head.encode())


def votable_document(columns: Sequence[ExportColumn], facts: Sequence[ProvenanceEntry], rows: int) -> str:
    """Write the VOTable document of the columns, without rows; the provenance becomes INFO elements.

    Its length does not depend on the number of rows.
    """
    return _document(columns, facts, rows, data=False)


def _document(columns: Sequence[ExportColumn], facts: Sequence[ProvenanceEntry], rows: int, data: bool) -> str:
    root = xml.Element("VOTABLE", version="1.4", xmlns="http://www.ivoa.net/xml/VOTable/v1.3")
    resource = xml.SubElement(root, "RESOURCE")
    xml.SubElement(resource, "COOSYS", ID="icrs", system="ICRS")
    for fact in facts:
        info = xml.SubElement(resource, "INFO", name=fact.name, value=_plain(_words(fact.value)))
        info.text = fact.comment or None
    table = xml.SubElement(resource, "TABLE", name="catalog", nrows="@nrows@")
    for column in columns:
        _add_field(table, column)
    if data:
        stream = xml.SubElement(xml.SubElement(xml.SubElement(table, "DATA"), "BINARY2"), "STREAM", encoding="base64")
        stream.text = "\n@rows@"
    xml.indent(root)
    text = '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(root, "unicode") + "\n"
    return text.replace('"@nrows@"', f'"{rows}"'.ljust(22), 1)


def _add_field(table: xml.Element, column: ExportColumn) -> None:
    field = xml.SubElement(table, "FIELD", name=column.name)
    if column.kind == "text":
        field.set("datatype", "char" if column.ascii else "unicodeChar")
        field.set("arraysize", str(column.width))
    else:
        field.set("datatype", _DATATYPES[column.kind])
    if column.name in _POSITION:
        field.set("ref", "icrs")
    for key, value in (("unit", column.meaning.unit), ("ucd", column.meaning.ucd)):
        if value:
            field.set(key, value)
    xml.SubElement(field, "DESCRIPTION").text = _plain(column.meaning.description)


def _words(value: str | int | float | bool | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _plain(text: str) -> str:
    """Replace control characters, most of which XML cannot hold, by spaces."""
    return "".join(c if c.isprintable() else " " for c in text)


def _rows(selection: Selection) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the bytes of the rows, each after its mask of missing values, the first column in the highest bit."""
    row = _FORMAT.row_type(selection.columns, flags=-(-len(selection.columns) // 8))
    buffer = np.zeros(BATCH_ROWS, row)
    for batch in selection.batches():
        block = _FORMAT.rows(batch, selection.columns, buffer)
        block["mask"] = 0
        for i, column in enumerate(batch.columns):
            if column.null_count:
                block["mask"][:, i // 8] |= null_mask(column).astype(np.uint8) << np.uint8(7 - i % 8)
        yield block.view(np.uint8)


def _base64_lines(chunks: Iterator[npt.NDArray[np.uint8]]) -> Iterator[bytes]:
    """Encode the chunks as one base64 text in lines, padded only at its end."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk.tobytes()
        whole = len(data) - len(data) % _LINE
        rest = data[whole:]
        letters = np.frombuffer(binascii.b2a_base64(data[:whole], newline=False), np.uint8)
        lines = np.full((whole // _LINE, 4 * _LINE // 3 + 1), ord("\n"), np.uint8)
        lines[:, :-1] = letters.reshape(len(lines), -1)
        yield lines.tobytes()
    yield binascii.b2a_base64(rest) if rest else b""
