"""Cells of a VOTable as they are read: no value is clipped or made up, whatever its type and how it is written."""

import math
from functools import cache

import duckdb
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from support.table_formats import field, text_field, votable

from catbuilder.core.errors import InputError
from catbuilder.core.resources import query
from catbuilder.ingest.tables.open_table import open_table
from catbuilder.ingest.tables.positions import PositionColumns
from catbuilder.ingest.tables.table_file import TableChoice

RANGES = {"unsignedByte": (0, 255), "short": (-(2**15), 2**15 - 1), "int": (-(2**31), 2**31 - 1),
          "long": (-(2**63), 2**63 - 1)}  # fmt: skip


@cache
def database():
    """One database for all files, each with a connection of its own: to make it takes longer than to read a file."""
    return duckdb.connect()


def read(path, *names):
    """Good rows of a file, and the numbers and reasons of those that were set aside."""
    table = open_table(path)
    with database().cursor() as con:
        with table.scan(con, names or [c.name for c in table.columns], lambda done, of: None) as scan:
            rows = con.execute(f"SELECT * FROM {scan.source}", scan.parameters).fetchall()
        con.execute(query(table.malformed))
        return rows, con.execute("SELECT row, reason FROM malformed ORDER BY row").fetchall()


def write(path, fields, rows, **options):
    path.write_text(votable(fields, rows, **options), encoding="utf-8")
    return path


@pytest.mark.parametrize("datatype", RANGES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_whole_numbers_are_exact_or_their_row_is_set_aside(datatype, data, tmp_path_factory):
    low, high = RANGES[datatype]
    near = st.sampled_from([low - 1, low, high, high + 1, 2**63, -(2**63) - 1, 0])
    values = data.draw(st.lists(near | st.integers(low, high) | st.none(), min_size=1, max_size=20))
    written = [
        ("" if value is None else data.draw(st.sampled_from(["{}", " {} ", "{}.0"])).format(value),) for value in values
    ]
    path = write(tmp_path_factory.mktemp("vot") / "a.vot", field("n", datatype), written)
    rows, aside = read(path)
    fits_type = [value is None or low <= value <= high for value in values]
    assert [value for (value,) in rows] == [value for value, good in zip(values, fits_type, strict=True) if good]
    assert [number for number, _ in aside] == [k for k, good in enumerate(fits_type, 1) if not good]
    assert all(f"does not fit the type {datatype}" in reason for _, reason in aside)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.floats(width=64) | st.none(), min_size=1, max_size=20))
def test_doubles_are_exact(values, tmp_path_factory):
    written = [("" if value is None else repr(value),) for value in values]
    path = write(tmp_path_factory.mktemp("vot") / "a.vot", field("x", "double"), written)
    rows, aside = read(path)
    assert not aside
    for (found,), value in zip(rows, values, strict=True):
        missing = value is None or math.isnan(value)
        assert (found is None or math.isnan(found)) if missing else found == value


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.floats(), min_size=1, max_size=20))
def test_a_float_is_the_nearest_of_32_bits_or_its_row_is_set_aside(values, tmp_path_factory):
    path = write(tmp_path_factory.mktemp("vot") / "a.vot", field("x", "float"), [(repr(value),) for value in values])
    rows, aside = read(path)
    with np.errstate(over="ignore"):
        nearest = np.array(values, np.float64).astype(np.float32)
    clipped = np.isinf(nearest) & np.isfinite(values)
    assert [number for number, _ in aside] == [int(k) + 1 for k in np.flatnonzero(clipped)]
    for (found,), value in zip(rows, nearest[~clipped], strict=True):
        assert (found is None or math.isnan(found)) if math.isnan(value) else np.float32(found) == value


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="<>&"), min_size=1))
)
def test_texts_are_whole_with_letters_beyond_ascii(texts, tmp_path_factory):
    path = write(tmp_path_factory.mktemp("vot") / "a.vot", text_field("s") + field("n", "int"), [(t, 1) for t in texts])
    rows, aside = read(path)
    assert not aside and [text for text, _ in rows] == texts


def test_truth_values_hexadecimals_nulls_and_references_are_understood(tmp_path):
    fields = (
        field("a", "boolean") + field("b", "int", inside='<VALUES null="-1"/>') + field("c", "char", 'arraysize="*"')
    )
    rows = [("T", "0x1F", "a &lt; b"), ("false", "-1", "<![CDATA[<c>]]>"), ("?", "nan", ""), ("1", "+7", "x")]
    found, aside = read(write(tmp_path / "a.vot", fields, rows))
    assert found == [(True, 31, "a < b"), (False, None, "<c>"), (None, None, ""), (True, 7, "x")] and not aside
    found, aside = read(write(tmp_path / "b.vot", fields, [("maybe", 1, "x"), ("T", "1_0", "x"), ("T", "1.5", "x")]))
    assert not found and [number for number, _ in aside] == [1, 2, 3]


def test_rows_are_those_that_astropy_reads(tmp_path):
    table = Table(
        {"i": np.arange(50_000), "x": np.random.default_rng(0).normal(size=50_000), "s": ["ab", "c"] * 25_000}
    )
    table.write(tmp_path / "a.vot", format="votable")
    rows, _ = read(tmp_path / "a.vot")
    assert rows == [tuple(row) for row in table.as_array().tolist()]


@pytest.mark.parametrize(
    ("before", "ref", "frame"),
    [
        ('<COOSYS ID="s" system="ICRS"/>', 'ref="s"', "ICRS"),
        ('<COOSYS ID="s" system="eq_FK5" equinox="J2000"/>', 'ref="s"', "FK5 J2000"),
        ('<COOSYS ID="s" system="galactic"/>', "", "GALACTIC"),
        ('<COOSYS ID="s" system="eq_FK4" equinox="B1950"/><COOSYS ID="t" system="ICRS"/>', 'ref="s"', "FK4 B1950"),
        ('<COOSYS ID="s" system="eq_FK4"/><COOSYS ID="t" system="ICRS"/>', "", ""),
        ('<COOSYS ID="s" equinox="B1950"/>', 'ref="s"', "FK4 B1950"),
        ('<TIMESYS ID="s" timescale="TCB" refposition="BARYCENTER" timeorigin="2455197.5"/>', 'ref="s"', ""),
        ("", "", ""),
    ],
)
def test_the_frame_of_a_votable_is_that_which_its_columns_refer_to(tmp_path, before, ref, frame):
    path = write(tmp_path / "a.vot", field("RA", "double", ref) + field("DEC", "double", ref), [(1, 2)], before=before)
    table = open_table(path)
    assert PositionColumns(*table.columns, table.frame, path).frame.stated == frame


@pytest.mark.parametrize(
    ("cards", "frame"),
    [
        ({}, ""), ({"RADESYS": "ICRS"}, "ICRS"), ({"RADESYS": "fk5", "EQUINOX": 2000.0}, "FK5 2000.0"),
        ({"EQUINOX": 1950.0}, "FK4 1950.0"), ({"EQUINOX": 2000}, "FK5 2000"), ({"RADECSYS": "FK4"}, "FK4"),
    ],
)  # fmt: skip
def test_the_frame_of_a_fits_table_is_that_of_its_header(tmp_path, cards, frame):
    table = fits.BinTableHDU(Table({"RA": [1.0]}))
    table.header.update(cards)
    table.writeto(tmp_path / "a.fits")
    assert open_table(tmp_path / "a.fits").frame == frame


def test_a_table_is_chosen_by_name_before_number_and_by_its_columns(tmp_path):
    named = [fits.BinTableHDU(Table({column: [1]}), name=name) for column, name in (("a", "2"), ("b", "x"), ("b", "y"))]
    fits.HDUList([fits.PrimaryHDU(), *named]).writeto(tmp_path / "a.fits")

    def columns(choice):
        return [column.name for column in open_table(tmp_path / "a.fits", choice=choice).columns]

    assert columns(TableChoice("2")) == ["a"]
    assert columns(TableChoice("3")) == ["b"] and columns(TableChoice("X")) == ["b"]
    assert columns(TableChoice(fits=lambda names: "a" in names)) == ["a"]
    with pytest.raises(InputError, match="holds 2 tables that could be meant: 2 'X', 3 'Y'"):
        columns(TableChoice(fits=lambda names: "b" in names))
    with pytest.raises(InputError, match=r"none has the columns that are needed \(c\)"):
        columns(TableChoice(fits=lambda names: "c" in names, needed="c"))
