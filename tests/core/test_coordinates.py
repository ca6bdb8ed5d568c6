"""Positions in the tables that users write: degrees or sexagesimal, on either side of right ascension 0."""

from pathlib import Path

import pytest

from catbuilder.core.coordinates import doubt_positions
from catbuilder.core.user_csv import OBJECT_ID, position_columns, read_table


def positions(folder: Path, *cells: tuple[str, str]) -> tuple[list[tuple[float, float]], list[str]]:
    """Positions of the good rows, and the reasons of the others."""
    file = folder / "t.csv"
    rows = (f"{number},{ra},{dec}\n" for number, (ra, dec) in enumerate(cells, 1))
    file.write_text("object_id,ra,dec\n" + "".join(rows), encoding="utf-8")
    table = read_table(file, [OBJECT_ID, *position_columns(required=True)])
    return [(row["ra"], row["dec"]) for row in table.rows], [one.reason for one in table.rejections]


def test_every_spelling_of_a_position_gives_its_degrees(tmp_path):
    cells = ("30.1", "-0.21"), ("02h00m24s", "−00d12m36s"), ("2:00:24", "-0:12:36"), ("30.1d", "-0.21")
    found, reasons = positions(tmp_path, *cells)
    assert not reasons
    for ra, dec in found:
        assert (ra, dec) == (pytest.approx(30.1, abs=1e-9), pytest.approx(-0.21, abs=1e-9))


def test_right_ascensions_below_zero_are_those_above_180(tmp_path):
    found, reasons = positions(tmp_path, ("-0.1", "1"), ("-180", "1"), ("360", "1"), ("-180.1", "1"), ("361", "1"))
    assert found == [(359.9, 1.0), (180.0, 1.0), (360.0, 1.0)]
    assert reasons == ["ra is -180.1, outside -180 to 360 degrees", "ra is 361, outside -180 to 360 degrees"]


def test_positions_that_are_missing_are_none_and_others_are_refused(tmp_path):
    found, reasons = positions(tmp_path, ("nan", ""), ("12:61:00", "1"), ("1", "02h00m00s"))
    assert found == [(None, None)]
    assert reasons == [
        "ra is '12:61:00', neither degrees nor hours, minutes and seconds",
        "dec is '02h00m00s', neither degrees nor degrees, minutes and seconds",
    ]


def test_hours_are_doubted_if_their_range_is_wide():
    assert "right ascensions lie in the range of hours" in doubt_positions(
        [(1.0, 5.0), (12.0, None), (13, 50), (23, 9)]
    )
    assert doubt_positions([(None, None)]) == doubt_positions([]) == ""
