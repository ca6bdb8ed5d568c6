"""Convert Arrow batches to packed big-endian rows, for FITS binary tables and VOTable's BINARY2."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from catbuilder.core.errors import CatalogueDamaged
from catbuilder.exports.arrow_columns import ascii_bytes, longest_bytes, null_mask, numeric_values, utf16_bytes
from catbuilder.exports.rows import ExportColumn, Kind

Rows = npt.NDArray[np.void]

_NUMBERS: dict[Kind, str] = {"int64": ">i8", "int32": ">i4", "double": ">f8", "float": ">f4", "boolean": "u1"}


@dataclass(frozen=True)
class RowFormat:
    """How a format writes missing and non-ASCII values; a missing float is NaN, missing text is empty."""

    missing: dict[Kind, int]
    utf16: bool  # write non-ASCII text as UTF-16 (VOTable), or each such character as '?' (FITS)

    def row_type(self, columns: Sequence[ExportColumn], flags: int = 0) -> np.dtype:
        """Return the packed type of a row: `flags` bytes of a mask, then one field per column, named by its number."""
        mask = [("mask", "u1", (flags,))] if flags else []
        return np.dtype([*mask, *((str(i), self._dtype(column)) for i, column in enumerate(columns))])

    def rows(self, batch: pa.RecordBatch, columns: Sequence[ExportColumn], buffer: Rows) -> Rows:
        """Write the batch into the first rows of `buffer`, an array of that type; the mask is left as it is.

        One buffer serves all batches, since allocating new memory took half of the time.

        Raises
        ------
        CatalogueDamaged
            A text is longer than the width of its column.
        """
        block = buffer[: batch.num_rows]
        for i, (column, values) in enumerate(zip(columns, batch.columns, strict=True)):
            if values.null_count < len(values):
                block[str(i)] = self._values(column, values)
            else:
                block[str(i)] = b"" if column.kind == "text" else self.missing.get(column.kind, np.nan)
        return block

    def _dtype(self, column: ExportColumn) -> str:
        if column.kind == "text":
            return f"S{2 * column.width if self._is_wide(column) else column.width}"
        return _NUMBERS[column.kind]

    def _is_wide(self, column: ExportColumn) -> bool:
        return self.utf16 and not column.ascii

    def _values(self, column: ExportColumn, values: pa.Array) -> npt.NDArray[np.generic]:
        if column.kind == "text":
            self._check_width(column, values)
            turn = utf16_bytes if self._is_wide(column) else ascii_bytes
            return turn(values, column.width)
        if column.kind == "boolean":
            letters = np.array([ord("F"), ord("T"), self.missing["boolean"]], np.uint8)
            return letters[np.where(null_mask(values), 2, numeric_values(values))]
        if values.null_count:
            return np.where(null_mask(values), self.missing.get(column.kind, np.nan), numeric_values(values))
        return numeric_values(values)

    def _check_width(self, column: ExportColumn, values: pa.StringArray) -> None:
        if longest_bytes(values) <= column.width:  # cheaper than counting characters
            return
        longest = pc.max(pc.utf8_length(values)).as_py()
        if longest > column.width:
            raise CatalogueDamaged(
                f"the column {column.name} holds a text of {longest} characters, and at most {column.width} were "
                "expected; nothing was written: run catbuilder check"
            )
