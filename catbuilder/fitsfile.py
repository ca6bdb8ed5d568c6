"""FITS export: a binary table streamed from the catalogue at constant memory, with checksums and provenance.

The header is astropy's; behind it go big-endian chunks straight from Arrow batches. DATASUM and CHECKSUM
follow FITS 4.0, section 4.4.2.7 and appendix J, and are filled in when the last row is out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from astropy.io import fits

from catbuilder import __version__
from catbuilder.catalog import Column, Connection, data_dictionary, fetch_arrow, fetch_number, first_row
from catbuilder.errors import InputError, QueryError, RoundError
from catbuilder.files import written_whole
from catbuilder.plan import read_plan
from catbuilder.resources import query
from catbuilder.workspace import Workspace

_BLOCK = 2880
_BATCH_ROWS = 50_000
_MOST_CERTIFICATES = 99  # a keyword of FITS has eight characters
_NULL = {"K": -(2**63), "J": -(2**31)}  # TNULL of the integer columns


@dataclass(frozen=True)
class ExportReport:
    """What was written."""

    rows: int
    columns: int


def export_fits(workspace: Workspace, file: Path, *, at: int | None = None, where: str | None = None) -> ExportReport:
    """Write the catalogue, one row an object, as a FITS binary table.

    Columns, units, UCDs (`TUCDn`) and descriptions (`TCOMMn`) are those of the view `catalog`; positions are
    ICRS. The primary header says which version, round, recipe, model and seed the labels come from.
    Missing integers carry TNULL, missing numbers are NaN, missing text is empty.

    Parameters
    ----------
    at : as of the end of this round; by default as it is now
    where : an SQL condition on the columns of `catalog`

    Raises
    ------
    RoundError
        There is no round `at`.
    QueryError
        The condition is not valid.
    """
    if file.suffix.lower() not in (".fits", ".fit"):
        raise InputError(f"'{file.name}' does not end in .fits, the format this version exports; name it so")
    if not file.parent.is_dir():
        raise InputError(f"there is no folder {file.parent}; make it, or choose another place for {file.name}")
    with workspace.reading() as con:
        _select(con, at, where)
        provenance = _provenance(con, workspace, at, where)
        columns = _columns(con)
        rows = fetch_number(con, "SELECT count(*) FROM export")
        with written_whole(file) as temporary, open(temporary, "wb+") as out:
            out.write(_primary(provenance).encode("ascii"))
            _write_table(out, con, columns, rows)
    return ExportReport(rows, len(columns))


@dataclass(frozen=True)
class _FitsColumn:
    column: Column
    form: str  # TFORM
    dtype: str  # numpy, big-endian


def _select(con: Connection, at: int | None, where: str | None) -> None:
    """Make the temporary table `export`; a condition from the user sees the catalogue and nothing else."""
    import duckdb

    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    condition = f"WHERE ({where}\n)" if where else ""
    text = f"CREATE TEMP TABLE export AS SELECT * FROM catalog_at($at) {condition} ORDER BY survey, object_id"
    try:
        if len(con.extract_statements(text)) != 1:
            raise QueryError("--where takes one condition on the columns of the catalogue, such as: ra < 30")
        con.execute(text, {"at": 2**31 - 1 if at is None else at})
    except duckdb.Error as error:
        said = str(error).splitlines()[0]
        raise QueryError(f"--where '{where}' is not a condition on the columns of the catalogue: {said}") from None


def _columns(con: Connection) -> list[_FitsColumn]:
    described = {column.name: column for column in data_dictionary(con, "catalog")}
    types = con.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'export' ORDER BY column_index"
    ).fetchall()
    return [_FitsColumn(described[name], *_form(con, name, kind)) for name, kind in types]


def _form(con: Connection, name: str, kind: str) -> tuple[str, str]:
    forms = {"BIGINT": ("K", ">i8"), "INTEGER": ("J", ">i4"), "DOUBLE": ("D", ">f8"), "FLOAT": ("E", ">f4"),
             "BOOLEAN": ("L", "u1")}  # fmt: skip
    if kind in forms:
        return forms[kind]
    width = max(1, fetch_number(con, f'SELECT coalesce(max(strlen("{name}")), 1) FROM export'))
    return f"{width}A", f"S{width}"


def _provenance(
    con: Connection, workspace: Workspace, at: int | None, where: str | None
) -> list[tuple[str, object, str]]:
    cards: list[tuple[str, object, str]] = [
        ("ORIGIN", "catbuilder", "software that wrote this file"),
        ("CATBVERS", __version__, "version of catbuilder"),
        ("DATE", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"), "when this file was written (UTC)"),
        ("RADESYS", "ICRS", "frame of ra and dec"),
        ("CLASSES", ",".join(workspace.config.classes), "classes of the labels"),
    ]
    for i, (name, survey) in enumerate(workspace.config.surveys.items(), start=1):
        cards.append((f"SURVEY{i}", f"{name} {survey.release} {survey.id_column}", "survey, release, id column"))
    if where:
        cards.append(("WHERE", where, "rows kept"))
    if at is not None:
        read_plan(con, at)
        if not first_row(con, "SELECT 1 FROM round_status WHERE round = ? AND step = 'closed'", [at]):
            raise RoundError(f"round {at} is not closed yet; finish it with: catbuilder round")
    row = first_row(
        con,
        "SELECT r.round, r.recipe, r.recipe_sha256, r.seed, r.ranks, m.sha256, "
        "greatest(1, (SELECT count(*) FROM members AS e WHERE e.model = r.round)) FROM rounds AS r "
        "JOIN models AS m ON m.model = r.round WHERE r.round <= ? ORDER BY r.round DESC LIMIT 1",
        [2**31 - 1 if at is None else at],
    )
    if row is None:
        return [*cards, ("ROUND", 0, "no round has been run")]
    comments = ("round of the latest model", "its recipe", "", "its seed", "processes that trained it", "",
                "networks whose posteriors are averaged")  # fmt: skip
    cards += list(
        zip(("ROUND", "RECIPE", "RECIPSHA", "SEED", "RANKS", "MODELSHA", "MEMBERS"), row, comments, strict=True)
    )
    return cards + _certificate_cards(con, at)


def _certificate_cards(con: Connection, at: int | None) -> list[tuple[str, object, str]]:
    """What vouches for the rows of the export, some cards a certificate; the column `certificate` names them."""
    said = {
        "CL": ("class", "class it is about"), "TR": ("truth", ""), "PO": ("population", ""),
        "N": ("n", "calibration objects counted"), "ER": ("errors", "errors among them"),
        "TH": ("threshold", "least calibrated confidence"), "AL": ("alpha", "error rate promised of the population"),
        "DE": ("delta_spent", "chance that any such bound fails"), "PB": ("population_bound", "its upper bound"),
        "BA": ("batch", "objects promoted"), "BB": ("batch_bound", "upper bound of their error rate"),
        "WT": ("weighted", "on condition of estimated weights"), "SH": ("calibration_sha256", ""),
        "AU": ("audit", "what people made of a sample"),
    }  # fmt: skip
    cards: list[tuple[str, object, str]] = []
    rows = fetch_arrow(con, query("exported_certificates"), {"at": 2**31 - 1 if at is None else at}).to_pylist()
    for number, row in enumerate(rows, start=1):
        if number > _MOST_CERTIFICATES:
            return [*cards, ("CERTMORE", True, "there are more: see the table certificates")]
        cards.append((f"CERT{number}", row["certificate"], "certificate"))
        cards += [(f"CERT{number}{key}", row[column], comment) for key, (column, comment) in said.items()]
    return cards


def _primary(cards: list[tuple[str, object, str]]) -> str:
    hdu = fits.PrimaryHDU()
    for name, value, comment in cards:
        plain = _printable(value) if isinstance(value, str) else value
        hdu.header[name] = (plain, comment) if comment else plain
    hdu.add_checksum()
    return str(hdu.header.tostring())


def _printable(text: str) -> str:
    """A header holds printable ASCII alone: other letters are escaped, line breaks and tabs become spaces."""
    ascii_text = text.encode("ascii", "backslashreplace").decode()
    return "".join(c if c.isprintable() else " " for c in ascii_text)


def _header(columns: list[_FitsColumn], rows: int) -> fits.Header:
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column(name=c.column.name, format=c.form, unit=c.column.unit or None, null=_NULL.get(c.form))
            for c in columns
        ],
        nrows=0,
    )
    header = table.header
    header["NAXIS2"] = rows
    header["EXTNAME"] = "CATALOG"
    header["RADESYS"] = ("ICRS", "frame of ra and dec")
    for i, c in enumerate(columns, start=1):
        header[f"TUCD{i}"] = c.column.ucd
        header[f"TCOMM{i}"] = c.column.description
    header["CHECKSUM"] = ("0" * 16, "HDU checksum")
    header["DATASUM"] = ("0" * 10, "data unit checksum")
    return header


def _write_table(out: BinaryIO, con: Connection, columns: list[_FitsColumn], rows: int) -> None:
    header = _header(columns, rows)
    start = out.tell()
    out.write(header.tostring().encode("ascii"))
    size, total, rest = 0, 0, b""
    for chunk in _chunks(con, columns):
        out.write(chunk)
        size += len(chunk)
        # words of four bytes may straddle two chunks
        chunk = rest + chunk
        whole = len(chunk) - len(chunk) % 4
        total += _sum32(chunk[:whole])
        rest = chunk[whole:]
    padding = b"\0" * (-size % _BLOCK)
    out.write(padding)
    total = _fold(total + _sum32(rest + padding))
    header["DATASUM"] = f"{total:010d}"
    everything = _fold(total + _sum32(header.tostring().encode("ascii")))
    header["CHECKSUM"] = _encode(~everything & 0xFFFFFFFF)
    out.seek(start)
    out.write(header.tostring().encode("ascii"))


def _chunks(con: Connection, columns: list[_FitsColumn]) -> Iterator[bytes]:
    # FITS does not pad rows: the structured type is packed
    row = np.dtype([(c.column.name, c.dtype) for c in columns])
    for batch in con.sql("SELECT * FROM export ORDER BY survey, object_id").to_arrow_reader(_BATCH_ROWS):
        block = np.zeros(batch.num_rows, row)
        for c, values in zip(columns, batch.columns, strict=True):
            block[c.column.name] = _to_numpy(values, c)
        yield block.tobytes()


def _to_numpy(values: pa.Array, column: _FitsColumn) -> np.ndarray:
    if column.form.endswith("A"):
        texts = values.fill_null("").to_numpy(zero_copy_only=False)
        return np.array([text.encode("ascii", "replace") for text in texts], dtype=column.dtype)
    if column.form == "L":
        known = np.asarray(values.is_valid())
        true = np.asarray(values.fill_null(False).to_numpy(zero_copy_only=False), bool)
        return np.where(known, np.where(true, ord("T"), ord("F")), 0).astype(np.uint8)
    if column.form in _NULL:
        return np.asarray(values.fill_null(_NULL[column.form]))
    return np.asarray(values.to_numpy(zero_copy_only=False))  # NULL becomes NaN


def _sum32(data: bytes) -> int:
    return int(np.frombuffer(data, ">u4").sum(dtype=np.uint64))


def _fold(total: int) -> int:
    """One's-complement sum: what overflows 32 bits comes back in at the bottom."""
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _encode(value: int) -> str:
    """The 16 printable characters whose own sum is `value` (FITS 4.0, appendix J.2)."""
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
