"""Split the lines of a CSV table into rows, and say which lines cannot be rows.

A quote that nothing ends makes one cell of everything up to the next quote, or to the end of the file, and the rows
between are lost. Here such a line is a fault of its own, and the lines after it are rows again.
"""

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from catbuilder.core.safe_text import is_number

# Python's own limit is 131,072 letters, and the drawings of one Zooniverse classification are longer. The readers
# bound the size of a whole table or line instead.
csv.field_size_limit(2**31 - 1)


class CsvLine(NamedTuple):
    """The cells of a row and the number of its first line; `fault` says why they cannot be used, if they cannot."""

    number: int  # the first line of the file is 1
    cells: list[str]
    fault: str = ""

    @property
    def is_blank(self) -> bool:
        """Whether no cell holds anything."""
        return not any(cell.strip() for cell in self.cells)


class CsvLines:
    """Rows of a CSV text, in order. `columns`, once it is set, is the number of cells that a row must have."""

    def __init__(self, lines: Iterable[str], delimiter: str = ",") -> None:
        self.columns: int | None = None
        self._delimiter = delimiter
        self._lines = _Lines(lines)
        self._left_open: tuple[int, int] | None = None  # lines in which a quoted cell begins and ends

    def __iter__(self) -> Iterator[CsvLine]:
        lines, delimiter = self._lines, self._delimiter
        for line in lines:
            if '"' in line:
                yield self._quoted(line)
                continue
            cells = line.rstrip("\r\n").split(delimiter)  # as Python's reader does, in a third of the time
            fault = "" if len(cells) == self.columns and "\0" not in line else self._fault(cells, line)
            yield CsvLine(lines.number, cells, fault)
            lines.taken.clear()

    def _quoted(self, line: str) -> CsvLine:
        """Read a row with quotes, which may take further lines."""
        number, lines = self._lines.number, self._lines
        lines.give_again([line])
        lines.taken = []
        try:
            cells = next(csv.reader(lines, delimiter=self._delimiter, strict=True))
        except csv.Error:
            return self._first_line_only(number, self._quote_fault())
        taken = lines.taken
        if self._left_open and number == self._left_open[1]:
            fault = f"a quote in it ends the cell that begins in row {self._left_open[0]}"
            return self._first_line_only(number, fault)
        fault = self._fault(cells, taken[-1])
        if len(taken) > 1 and self.columns is not None and (fault or holds_rows(taken, self.columns, self._delimiter)):
            self._left_open = number, lines.number
            over = fault or "over lines that look like rows; is a quote missing or too many?"
            return self._first_line_only(number, f"a quoted cell runs on to row {lines.number}, {over}")
        return CsvLine(number, cells, fault)

    def _first_line_only(self, number: int, fault: str) -> CsvLine:
        """Set the first line aside, and read the lines after it again."""
        first, *later = self._lines.taken
        self._lines.give_again(later)
        return CsvLine(number, next(csv.reader([first], delimiter=self._delimiter), []), fault)

    def _quote_fault(self) -> str:
        if len(self._lines.taken) == 1 and not self._lines.ended:
            return "a quote is inside a quoted cell; write it twice, or leave it out"
        return "a quoted cell does not end; end the quote, or leave it out"

    def _fault(self, cells: list[str], line: str) -> str:
        """Say what is wrong with the cells of a row that ends in this line."""
        if any("\0" in cell for cell in cells):
            return "it has zero bytes, as UTF-16 text or a damaged file has"
        if self.columns is None or len(cells) == self.columns or not any(cell.strip() for cell in cells):
            return ""
        fault = f"it has {len(cells)} cell{'s' if len(cells) != 1 else ''} where the header has {self.columns}"
        if len(cells) < self.columns and not line.endswith(("\n", "\r")):
            fault += ", and the file ends in it without a line break: is the file cut?"
        return fault


def holds_rows(lines: Sequence[str], columns: int, delimiter: str = ",") -> bool:
    """Whether a cell that runs over these lines holds rows, as after a quote that a later stray quote ends.

    A line looks like a row if it has the right number of cells and, where the first line has numbers, numbers too.
    """
    first, *later = (line.rstrip("\r\n").split(delimiter) for line in lines)
    numbers = [place for place, cell in enumerate(first) if is_number(cell.strip(' "'))]
    return any(
        len(cells) == columns and all(is_number(cells[place].strip(' "')) for place in numbers if place < columns)
        for cells in later
    )


class _Lines:
    """An iterator over lines that remembers those taken for a row, and can give them again."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines, self._again = iter(lines), deque[str]()
        self.number = 0  # of the line last taken
        self.taken: list[str] = []
        self.ended = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        self.ended = False
        try:
            line = self._again.popleft() if self._again else next(self._lines)
        except StopIteration:
            self.ended = True
            raise
        self.number += 1
        self.taken.append(line)
        return line

    def give_again(self, lines: Sequence[str]) -> None:
        self._again.extendleft(reversed(lines))
        self.number -= len(lines)
