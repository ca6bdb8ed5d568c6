"""Read the rows of a VOTable's TABLEDATA: cells of text become typed columns, and none is clipped or guessed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from xml.parsers import expat

import pyarrow as pa
import pyarrow.compute as pc

from catbuilder.core.safe_text import in_one_line
from catbuilder.ingest.tables.packed_file import open_unpacked
from catbuilder.ingest.tables.votable_header import Forbidden, VotableColumn, VotableTable

_ROWS = 20_000  # converted at once
_CHUNK_BYTES = 1 << 20
_LONGEST_CELL = 80  # letters that a reason repeats
_TRUTH = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}
_NONE = ("", "null", "none", "-", "nan")  # of a number; services write them where nothing was measured
_LARGEST = {pa.float32(): 3.4028235677973366e38, pa.float64(): math.inf}  # this and more becomes infinite


@dataclass(frozen=True)
class SetAside:
    """A row that cannot be used: its number from 1, the text of its first wanted cell, and the reason."""

    row: int
    object_id: str
    reason: str

    SCHEMA: ClassVar = pa.schema([("row", pa.int64()), ("object_id", pa.string()), ("reason", pa.string())])


def read_tabledata(path: Path, table: VotableTable, names: Sequence[str]) -> tuple[pa.Table, list[SetAside]]:
    """Read the columns `names` of a table, in the file's order, and the rows that had to be left out.

    Raises
    ------
    Exception
        The text is not XML, as the parser says.
    """
    rows = _Rows(table, names)
    parser = _RowsParser(table.number, rows)
    with open_unpacked(path) as file:
        while chunk := file.read1(_CHUNK_BYTES):
            parser.expat.Parse(chunk, False)
    parser.expat.Parse(b"", True)
    rows.convert()
    return pa.Table.from_batches(rows.batches, rows.schema), rows.set_aside


class _Rows:
    """Gathers the wanted cells of some rows, converts them, and keeps the batches."""

    def __init__(self, table: VotableTable, names: Sequence[str]) -> None:
        self.wanted = [place for place, column in enumerate(table.columns) if column.name in names]
        self.columns = [table.columns[place] for place in self.wanted]
        self.schema = pa.schema([(column.name, column.kind) for column in self.columns])
        self.batches: list[pa.RecordBatch] = []
        self.set_aside: list[SetAside] = []
        self._declared = len(table.columns)
        self._id = next((k for k, column in enumerate(self.columns) if names and column.name == names[0]), 0)
        self._rows: list[list[str]] = []
        self._before = 0  # rows converted

    def add(self, cells: list[str]) -> None:
        """Add a row by all its cells."""
        self._rows.append(cells)
        if len(self._rows) == _ROWS:
            self.convert()

    def convert(self) -> None:
        """Convert the gathered rows."""
        faults: dict[int, str] = {}
        declared = self._declared
        for number, cells in enumerate(self._rows):
            if len(cells) != declared:
                faults[number] = f"it has {len(cells)} cells where the table has {declared} columns"
                cells += [""] * (declared - len(cells))
        arrays = []
        for place, column in zip(self.wanted, self.columns, strict=True):
            texts = [cells[place] for cells in self._rows]
            values, bad = _convert(texts, column)
            for number in bad:
                text = in_one_line(texts[number], _LONGEST_CELL)
                faults.setdefault(
                    number,
                    f"{in_one_line(column.name, 60)} is '{text}', which does not fit the type {column.datatype} that "
                    "the file declares",
                )
            arrays.append(values)
        batch = pa.record_batch(arrays, schema=self.schema) if arrays else None
        if batch is not None and faults:
            batch = batch.filter(pa.array([number not in faults for number in range(len(self._rows))]))
        for number, reason in sorted(faults.items()):
            object_id = self._rows[number][self.wanted[self._id]] if self.wanted else ""
            self.set_aside.append(SetAside(self._before + number + 1, object_id.strip(), reason))
        if batch is not None:
            self.batches.append(batch)
        self._before += len(self._rows)
        self._rows = []


class _RowsParser:
    """Gives the cells of the rows of one table."""

    def __init__(self, number: int, rows: _Rows) -> None:
        self.expat = expat.ParserCreate()
        self.expat.buffer_text = True
        self.expat.buffer_size = 1 << 16
        self.expat.StartElementHandler, self.expat.EndElementHandler = self._begins, self._ends
        self._left = number  # tables to come, this one included
        self._inside = False
        self._rows = rows
        self._cells: list[str] = []
        self._parts: list[str] = []

    def _begins(self, tag: str, attributes: dict[str, str]) -> None:
        kind = tag.rpartition(":")[2]
        if kind == "TD" and self._inside:
            if attributes.get("encoding", "none").lower() != "none":
                raise Forbidden("its cells are encoded (TD encoding), which is not read")
            self._parts = []
            self.expat.CharacterDataHandler = self._parts.append
        elif kind == "TR":
            self._cells = []
        elif kind == "TABLE":
            self._left -= 1
        elif kind == "TABLEDATA":
            self._inside = self._left == 0

    def _ends(self, tag: str) -> None:
        if not self._inside:
            return
        kind = tag.rpartition(":")[2]
        if kind == "TD":
            self.expat.CharacterDataHandler = None
            self._cells.append("".join(self._parts))
        elif kind == "TR":
            self._rows.add(self._cells)
        elif kind == "TABLEDATA":
            self._inside = False


def _convert(texts: list[str], column: VotableColumn) -> tuple[pa.Array, list[int]]:
    """Convert the cells of a column; gives the places of those that do not fit its type too."""
    if pa.types.is_string(column.kind):
        return pa.array([text if [text] != column.null else None for text in texts], pa.string()), []
    if pa.types.is_null(column.kind):  # not a single value a row; only asked for by mistake
        return pa.nulls(len(texts)), []
    if not column.null:  # the usual case, in C
        trimmed = pc.utf8_trim_whitespace(pa.array(texts, pa.string()))
        trimmed = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
        try:
            is_hex = (
                pa.types.is_integer(column.kind) and pc.any(pc.match_substring(trimmed, "x", ignore_case=True)).as_py()
            )
            if pa.types.is_integer(column.kind) and not is_hex:  # Arrow would wrap 0xFFFF to -1
                return trimmed.cast(column.kind), []
            if pa.types.is_floating(column.kind):
                values = trimmed.cast(pa.float64())
                if (pc.max(pc.abs(values)).as_py() or 0) < _LARGEST[column.kind]:
                    return values.cast(column.kind), []
        except pa.ArrowInvalid:
            pass
    read = _reader(column)
    read_values: list[Any] = []
    bad = []
    for place, text in enumerate(texts):
        try:
            read_values.append(None if [text.strip()] == column.null else read(text.strip().lower()))
        except (ValueError, OverflowError):
            read_values.append(None)
            bad.append(place)
    return pa.array(read_values, column.kind), bad


def _reader(column: VotableColumn) -> Callable[[str], Any]:
    if pa.types.is_boolean(column.kind):
        return _truth
    if pa.types.is_integer(column.kind):
        bits, signed = column.kind.bit_width, pa.types.is_signed_integer(column.kind)
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        null = _whole(column.null[0].lower()) if column.null else None
        return partial(_whole_within, low, high, null)
    return partial(_real, _LARGEST[column.kind])


def _truth(text: str) -> bool | None:
    if text in ("", "?", "null"):
        return None
    if text not in _TRUTH:
        raise ValueError(text)
    return _TRUTH[text]


def _whole(text: str) -> int | None:
    if text in _NONE:
        return None
    if text.startswith("0x"):
        return int(text[2:], 16)
    whole, _, zeros = text.partition(".")  # 7.0 is 7
    if zeros.strip("0"):
        raise ValueError(text)
    return int(whole)


def _whole_within(low: int, high: int, null: int | None, text: str) -> int | None:
    value = _whole(text)
    if value is None or value == null:
        return None
    if not low <= value <= high or "_" in text:  # Python takes 1_000
        raise ValueError(text)
    return value


def _real(largest: float, text: str) -> float | None:
    if text in _NONE:
        return None
    value = float(text)
    if "_" in text or (math.isfinite(value) and abs(value) >= largest) or (math.isinf(value) and "inf" not in text):
        raise ValueError(text)
    return value
