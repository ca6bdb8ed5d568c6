"""Splitting a CSV text into rows: correct text comes back as it was, and a stray quote loses no line in silence."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from catbuilder.core.csv_rows import CsvLine, CsvLines

CELLS = st.text("ab ,\"'\n;é\t", max_size=8)


def split(text: str, columns: int) -> list[CsvLine]:
    lines = CsvLines(io.StringIO(text, newline=""))
    lines.columns = columns
    return list(lines)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=6))
def test_rows_come_back_as_they_were_written(cells):
    rows = [(str(n), *row) for n, row in enumerate(cells, 1)]  # no line of a text begins with a number
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    assert [(tuple(line.cells), line.fault) for line in split(out.getvalue(), 4)] == [(row, "") for row in rows]


@given(st.integers(2, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 9)), max_size=4))
def test_no_line_is_lost_wherever_quotes_are_put(n, quotes):
    lines = [f"{1000 + row},sp,ann" for row in range(n)]
    for row, place in quotes:
        line = lines[row % n]
        lines[row % n] = line[:place] + '"' + line[place:]
    found = split("".join(f"{line}\n" for line in lines), 3)
    assert [line.number for line in found] == list(range(1, n + 1))
    whole = {line.number for line in found if not line.fault}
    assert whole >= {number for number, line in enumerate(lines, 1) if '"' not in line}


@given(st.integers(0, 45))
def test_the_rows_before_a_cut_are_read_and_the_cut_one_is_told(length):
    rows = ('1,spiral,"a\nb"\n', '2,spiral,"c ""d"""\n', "3,spiral,e\n")
    found = split("".join(rows)[:length], 3)
    whole = [["1", "spiral", "a\nb"], ["2", "spiral", 'c "d"'], ["3", "spiral", "e"]]
    ends = [sum(map(len, rows[: n + 1])) for n in range(3)]
    n = sum(end <= length for end in ends)
    assert [line.cells for line in found[:n]] == whole[:n] and not any(line.fault for line in found[:n])
    for line in found[n:]:
        assert line.fault or len(line.cells) == 3 or line.is_blank
