"""Units in the spellings that archives use, and what is refused."""

import duckdb
import numpy as np
import pytest
from astropy import units as u

from catbuilder.core.errors import InputError
from catbuilder.ingest.tables.table_file import FileColumn
from catbuilder.ingest.tables.units import conversion_of


def converted(value: float, unit: str, quantity: str, kind: str = "DOUBLE") -> float | None:
    """A number as the SQL converts it."""
    conversion = conversion_of(FileColumn("X", kind, unit), quantity, "file", arcsec_per_pixel=0.263)
    row = duckdb.execute(f"SELECT {conversion.sql('CAST($x AS DOUBLE)')}", {"x": value}).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("quantity", "unit", "value", "expected"),
    [
        ("ra", "", 2.0, 2.0),
        ("ra", "Degrees", 2.0, 2.0),
        ("ra", "rad", 2.0, np.degrees(2.0)),
        ("ra", "HOURS", 2.0, 30.0),
        ("ra", "hourangle", 2.0, 30.0),
        ("ra", "h", 2.0, 30.0),
        ("ra", "[deg]", 2.0, 2.0),
        ("ra", "---", 2.0, 2.0),
        ("dec", "arcmin", -90.0, -1.5),
        ("dec", "mas", 3.6e6, 1.0),
        ("longitude", "rad", np.pi, 180.0),
        ("magnitude", "mag", 17.0, 17.0),
        ("magnitude", "ABmag", 17.0, 17.0),
        ("magnitude", "mmag", 17e3, 17.0),
        ("magnitude", "nanomaggies", 100.0, 17.5),
        ("magnitude", "3631e-9 Jy", 100.0, 17.5),
        ("magnitude", "uJy", 363.1, 17.5),
        ("magnitude", "nJy", 3631.0, 22.5),
        ("magnitude", "Jy", 3631.0, 0.0),
        ("magnitude", "mag(nJy)", -8.90006562, 22.5),
        ("magnitude", "nmgy", -1.0, np.inf),
        ("magnitude", "nmgy", 0.0, np.inf),
        ("arcsec", "arcmin", 0.5, 30.0),
        ("arcsec", '"', 0.5, 0.5),
        ("pixels", "arcsec", 0.526, 2.0),
        ("pixels", "pixels", 2.0, 2.0),
        ("share", "%", 40.0, 0.4),
        ("semi-axes", "pix", 3.5, 3.5),
    ],
)
def test_numbers_are_converted_to_the_catalogue_s_unit(quantity, unit, value, expected):
    assert converted(value, unit, quantity) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("unit", ["deg", "rad", "arcmin", "arcsec", "mas", "uas"])
def test_factors_of_angles_are_those_of_astropy(unit):
    assert converted(1.2345, unit, "dec") == (1.2345 * u.Unit(unit)).to_value(u.deg)


@pytest.mark.parametrize(
    ("quantity", "unit"),
    [
        ("ra", "furlong"),
        ("ra", "s"),
        ("ra", "mag"),
        ("ra", "h:m:s"),
        ("dec", "h"),
        ("magnitude", "dex"),
        ("magnitude", "dB"),
        ("magnitude", "mag(ST)"),
        ("magnitude", "adu"),
        ("magnitude", "[mJy]"),
        ("magnitude", "erg/s/cm2/Angstrom"),
        ("magnitude", "mag/arcsec2"),
        ("arcsec", "[arcsec]"),
        ("arcsec", "pix"),
        ("share", "deg"),
        ("longitude", "h"),
    ],
)
def test_a_unit_that_is_not_known_or_of_another_quantity_is_refused_by_column_and_name(quantity, unit):
    with pytest.raises(InputError, match=r"column X of file has the unit '.+', which cannot be converted; units"):
        converted(1.0, unit, quantity)


def test_a_text_in_hours_minutes_and_seconds_may_say_so():
    conversion = conversion_of(FileColumn("RA", "VARCHAR", '"h:m:s"'), "ra", "file")
    assert conversion.sexagesimal == 15
    assert conversion_of(FileColumn("RA", "VARCHAR", "deg"), "ra", "file").sexagesimal is None
