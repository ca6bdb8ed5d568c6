"""Positions in every spelling, unit and frame: SQL, Python and astropy agree."""

import functools

import duckdb
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import FK4, FK5, Angle, BarycentricMeanEcliptic, SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st

from catbuilder.core.coordinates import doubt_degrees, read_degrees, wrap_ra
from catbuilder.core.errors import InputError
from catbuilder.core.resources import query
from catbuilder.ingest.tables.frames import Frame, frame_in, frame_of_columns
from catbuilder.ingest.tables.positions import PositionColumns
from catbuilder.ingest.tables.table_file import FileColumn

SPELLINGS = (
    "{sign}{whole}:{m}:{s}",
    "{sign}{whole} {m} {s}",
    "{sign}{whole}{unit}{m}m{s}s",
    "{sign}{whole}{unit} {m}m {s}s",
    "{sign}{whole}{unit}{m}m{s}",
)


@functools.cache
def macros() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    for name in ("ingest/cell_macros", "ingest/position_macros"):
        for statement in con.extract_statements(query(name)):
            con.execute(statement)
    return con


def by_sql(text: str) -> tuple[float | None, float | None]:
    return macros().execute("SELECT sexagesimal_ra(cell($t)), sexagesimal_dec(cell($t))", {"t": text}).fetchall()[0]


@settings(max_examples=200, deadline=None)
@given(
    whole=st.integers(0, 23),
    m=st.integers(0, 59),
    s=st.decimals(0, 59, places=3),
    sign=st.sampled_from(["", "+", "-"]),
    unit=st.sampled_from("hd"),
    spelling=st.sampled_from(SPELLINGS),
)
def test_sexagesimal_texts_mean_what_astropy_reads_in_them(whole, m, s, sign, unit, spelling):
    text = spelling.format(whole=whole, m=m, s=s, sign=sign, unit=unit)
    expected_ra = Angle(text, "deg" if "{unit}" in spelling and unit == "d" else "hourangle").deg
    expected_dec = None if "{unit}" in spelling and unit == "h" else Angle(text, "deg").deg
    for found_ra, found_dec in (by_sql(text), (read_degrees(text, "ra"), read_degrees(text, "dec"))):
        assert found_ra == pytest.approx(expected_ra, abs=1e-10)
        assert found_dec == (None if expected_dec is None else pytest.approx(expected_dec, abs=1e-10))


@settings(max_examples=200, deadline=None)
@given(text=st.text("0123456789 .:+-−hdms°′″'\"er", max_size=14) | st.text(max_size=8))
def test_sql_and_python_read_the_same_positions_in_any_text(text):
    text = text.replace("\x00", "")
    if text.strip().lower() in ("", "nan", "null", "none") or not text.isprintable():
        return
    by_python = read_degrees(text, "ra"), read_degrees(text, "dec")
    for ours, theirs in zip(by_python, by_sql(text), strict=True):
        assert ours == theirs or (ours is not None and theirs is not None and ours == pytest.approx(theirs, abs=1e-10))


def test_signs_for_degrees_and_a_printed_minus_are_read():
    assert read_degrees("−10°12′36″", "dec") == pytest.approx(-10.21)
    assert by_sql("−10°12′36″")[1] == pytest.approx(-10.21)
    assert read_degrees("2ʰ0ᵐ24ˢ", "ra") == pytest.approx(30.1) and read_degrees("150.1d", "ra") == 150.1
    assert wrap_ra(-0.1) == 359.9 and wrap_ra(180.0) == 180.0


@pytest.mark.parametrize(
    ("n", "ra", "dec", "words"),
    [
        (3, (0.5, 20.0), (-60, 60), "the range of hours"),
        (3, (0.2, 5.9), (-1.2, 1.2), "the range of radians"),
        (2, (0.5, 20.0), (-60, 60), ""),
        (10_000, (10.0, 12.0), (-1, 1), ""),
        (10_000, (0.0, 360.0), (-90, 90), ""),
        (10_000, (0.0, 5.9), (-30, 30), ""),
        (10_000, (1.0, 3.0), (-1, 1), ""),
    ],
)
def test_wide_ranges_of_hours_and_radians_are_doubted_and_small_fields_are_not(n, ra, dec, words):
    doubt = doubt_degrees(n, ra, dec)
    assert words in doubt and bool(doubt) == bool(words)


# --- frames

PLACE = SkyCoord([10.0, 200.0] * u.deg, [20.0, -30.0] * u.deg)


@pytest.mark.parametrize(
    ("stated", "coordinates"),
    [
        ("FK4 B1950.0", PLACE.transform_to(FK4(equinox="B1950"))),
        ("fk4", PLACE.transform_to(FK4(equinox="B1950"))),
        ("FK4 1975", PLACE.transform_to(FK4(equinox="B1975"))),
        ("FK5 J1975.0", PLACE.transform_to(FK5(equinox="J1975"))),
        ("GALACTIC", PLACE.galactic),
        ("ecl_FK5", PLACE.transform_to(BarycentricMeanEcliptic(equinox="J2000"))),
        ("super_galactic", PLACE.supergalactic),
        ("eq_FK4 B1950.0", PLACE.transform_to(FK4(equinox="B1950"))),
    ],
)
def test_positions_of_other_frames_become_those_that_astropy_gives(stated, coordinates):
    position = PositionColumns(FileColumn("lon", "DOUBLE"), FileColumn("lat", "DOUBLE"), stated, "file")
    with duckdb.connect() as con:
        position.add_functions(con)
        lon, lat = coordinates.spherical.lon.deg, coordinates.spherical.lat.deg
        con.register("places", {"lon": lon, "lat": lat})
        rows = "(FROM places UNION ALL SELECT NULL, 1 UNION ALL SELECT 1, 95)"
        found = con.execute(f"SELECT {position.icrs_sql('lon', 'lat')} FROM {rows}").fetchall()
    np.testing.assert_allclose(found[:2], [(10.0, 20.0), (200.0, -30.0)], atol=1e-9)
    assert found[2:] == [(None, None), (None, None)]


def test_fk5_of_j2000_is_taken_for_icrs_from_which_it_differs_by_less_than_0_04_arcsec():
    assert Frame("FK5 J2000.0", "file").is_icrs and Frame("", "file").is_icrs
    apart = PLACE.separation(SkyCoord(PLACE.ra, PLACE.dec, frame="fk5").icrs)
    assert apart.max() < 0.04 * u.arcsec


@pytest.mark.parametrize("stated", ["GAPPT", "cirs", "FK6", "unknown", "x; DROP"])
def test_a_frame_that_cannot_be_converted_is_refused_by_its_name(stated):
    with pytest.raises(InputError, match=r"of a\.fits are in the frame '.+', which cannot be converted"):
        Frame(stated, "a.fits")


def test_frames_are_found_in_headers_and_in_names_of_columns():
    assert frame_in({"RADESYS": "FK4", "EQUINOX": 1950.0}) == "FK4 1950.0"
    assert frame_in({"EQUINOX": 1950.0}) == "FK4 1950.0" and frame_in({"equinox": "J2000.0"}) == "FK5 J2000.0"
    assert frame_in({"RADESYS": "ICRS", "EQUINOX": 2000.0}) == "ICRS" and frame_in({"frame": "301"}) == ""
    assert frame_of_columns("GLON", "GLAT") == frame_of_columns("l", "b") == "GALACTIC"
    assert frame_of_columns("RAB1950", "DEB1950") == "FK4 B1950" and frame_of_columns("ra", "dec") == ""
