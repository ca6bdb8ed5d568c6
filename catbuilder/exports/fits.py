"""Write FITS: a binary table streamed in constant memory, with checksums and provenance, optionally FITS-plus.

astropy makes the header; big-endian rows from Arrow batches follow it. The number of rows, DATASUM and CHECKSUM (FITS
4.0, section 4.4.2.7 and appendix J) are filled in after the last row. A FITS-plus file, as TOPCAT writes it, has a
VOTable document of the metadata in its primary HDU, and is plain FITS for any other reader.
"""

from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from astropy.io import fits

from catbuilder.exports.binary_rows import RowFormat
from catbuilder.exports.provenance import ProvenanceEntry
from catbuilder.exports.rows import BATCH_ROWS, ExportColumn, Kind, Selection
from catbuilder.exports.votable import votable_document

_BLOCK = 2880
_FORMS: dict[Kind, str] = {"int64": "K", "int32": "J", "double": "D", "float": "E", "boolean": "L"}
_NULL = {"K": -(2**63), "J": -(2**31)}  # TNULL of the integer columns
_FORMAT = RowFormat({"int64": _NULL["K"], "int32": _NULL["J"], "boolean": 0}, utf16=False)


def write_fits(selection: Selection, file: Path, *, plus: bool = False) -> None:
    """Write the selection as a FITS binary table, named CATALOG.

    Units, UCDs (`TUCDn`) and descriptions (`TCOMMn`) are those of the catalogue; the primary header holds the
    provenance. Missing integers are TNULL, missing numbers NaN, missing text empty. Non-ASCII characters become '?'.

    Parameters
    ----------
    plus : put a VOTable document of the metadata into the primary HDU (the FITS-plus of TOPCAT and STIL)
    """
    with open(file, "wb+") as out:
        out.write(_primary(selection, plus))
        _write_table(out, selection)
        out.seek(0)
        out.write(_primary(selection, plus))  # now with the number of rows in the VOTable


def _primary(selection: Selection, plus: bool) -> bytes:
    """Return the primary HDU; its length does not depend on the number of rows."""
    hdu = fits.PrimaryHDU()
    if plus:
        document = votable_document(selection.columns, selection.facts, selection.rows).encode()
        hdu = fits.PrimaryHDU(np.frombuffer(document, np.uint8))
        hdu.header["VOTMETA"] = (True, "Table metadata in VOTable format")
    _add_facts(hdu.header, selection.facts)
    hdu.add_checksum()
    hdu.writeto(out := BytesIO())
    return out.getvalue()


def _add_facts(header: fits.Header, facts: tuple[ProvenanceEntry, ...]) -> None:
    for fact in facts:
        plain = _printable(fact.value) if isinstance(fact.value, str) else fact.value
        header[fact.name] = (plain, fact.comment) if fact.comment else plain


def _printable(text: str) -> str:
    """Convert a text to printable ASCII for a header: escape other characters, replace line breaks and tabs."""
    ascii_text = text.encode("ascii", "backslashreplace").decode()
    return "".join(c if c.isprintable() else " " for c in ascii_text)


def _header(columns: tuple[ExportColumn, ...]) -> fits.Header:
    forms = [_FORMS.get(column.kind, f"{column.width}A") for column in columns]
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column(name=column.name, format=form, unit=column.meaning.unit or None, null=_NULL.get(form))
            for column, form in zip(columns, forms, strict=True)
        ],
        nrows=0,
    )
    header = table.header
    header["EXTNAME"] = "CATALOG"
    header["RADESYS"] = ("ICRS", "frame of ra and dec")
    for i, column in enumerate(columns, start=1):
        header[f"TUCD{i}"] = column.meaning.ucd
        header[f"TCOMM{i}"] = column.meaning.description
    header["CHECKSUM"] = ("0" * 16, "HDU checksum")
    header["DATASUM"] = ("0" * 10, "data unit checksum")
    return header


def _write_table(out: BinaryIO, selection: Selection) -> None:
    header = _header(selection.columns)
    start = out.tell()
    out.write(header.tostring().encode("ascii"))
    row = _FORMAT.row_type(selection.columns)  # packed, since FITS does not pad rows
    buffer = np.zeros(BATCH_ROWS, row)
    size, total, rest = 0, 0, b""
    for batch in selection.batches():
        data = _FORMAT.rows(batch, selection.columns, buffer).view(np.uint8)
        out.write(data.data)
        size += len(data)
        # a word of four bytes may cross the end of a batch
        ahead = -len(rest) % 4 if rest else 0
        straddling, data = rest + data[:ahead].tobytes(), data[ahead:]
        whole = len(data) - len(data) % 4
        total += _sum32(straddling) + _sum32(data[:whole])
        rest = data[whole:].tobytes()
    padding = b"\0" * (-size % _BLOCK)
    out.write(padding)
    total = _fold(total + _sum32(rest + padding))
    header["NAXIS2"] = selection.rows
    header["DATASUM"] = f"{total:010d}"
    everything = _fold(total + _sum32(header.tostring().encode("ascii")))
    header["CHECKSUM"] = _encode(~everything & 0xFFFFFFFF)
    out.seek(start)
    out.write(header.tostring().encode("ascii"))


def _sum32(data: bytes | np.ndarray) -> int:
    return int(np.frombuffer(data, ">u4").sum(dtype=np.uint64))


def _fold(total: int) -> int:
    """Fold a sum to 32 bits in one's complement: add the overflow to the lowest bit."""
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _encode(value: int) -> str:
    """Encode a checksum as 16 printable characters whose own sum is `value` (FITS 4.0, appendix J.2)."""
    forbidden = set(range(0x3A, 0x41)) | set(range(0x5B, 0x61))
    text = bytearray(16)
    for place, byte in enumerate(value.to_bytes(4, "big")):
        four = [byte // 4 + 0x30] * 4
        four[0] += byte % 4
        while any(c in forbidden for c in four):
            for a, b in ((0, 1), (2, 3)):
                if four[a] in forbidden or four[b] in forbidden:
                    four[a] += 1
                    four[b] -= 1
        for i, character in enumerate(four):
            text[4 * i + place] = character
    return (text[-1:] + text[:-1]).decode("ascii")
