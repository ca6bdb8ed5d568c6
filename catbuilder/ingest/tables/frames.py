"""Turn positions in the frame that a file states into ICRS: FK5, FK4, Galactic, supergalactic and ecliptic coordinates.

astropy transforms them in Arrow batches while the rows stream, as an SQL function that DuckDB calls. FK5 of equinox
J2000 differs from ICRS by less than 0.04 arcsec and counts as ICRS.
"""

import re
import warnings
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from astropy import units as u
from astropy.coordinates import (
    FK4,
    FK5,
    ICRS,
    BarycentricMeanEcliptic,
    BaseCoordinateFrame,
    FK4NoETerms,
    Galactic,
    Supergalactic,
    UnitSphericalRepresentation,
)
from astropy.time import Time
from astropy.utils import iers
from duckdb.func import PythonUDFType

from catbuilder.catalogue.connection import Connection
from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line

_STATED = re.compile(r"([a-z][a-z0-9_ -]*?)[\s,;(]*(?:equinox)?[\s=]*([jb]?\d{4}(?:\.\d*)?)?[\s)]*")  # name, equinox
_NAMES = {
    "icrs": "icrs", "icrf": "icrs", "fk5": "fk5", "eq_fk5": "fk5", "j": "fk5", "fk4": "fk4", "eq_fk4": "fk4",
    "b": "fk4", "fk4-no-e": "fk4-no-e", "fk4_no_e": "fk4-no-e", "fk4noeterms": "fk4-no-e", "galactic": "galactic",
    "gal": "galactic", "galactic_ii": "galactic", "supergalactic": "supergalactic", "super_galactic": "supergalactic",
    "ecliptic": "ecliptic", "ecl": "ecliptic", "ecl_fk5": "ecliptic", "barycentricmeanecliptic": "ecliptic",
}  # fmt: skip
_EQUATORIAL = ("icrs", "fk5", "fk4", "fk4-no-e")
_COLUMNS = {
    ("glon", "glat"): "GALACTIC", ("l", "b"): "GALACTIC", ("gallon", "gallat"): "GALACTIC",
    ("gall", "galb"): "GALACTIC", ("galacticlongitude", "galacticlatitude"): "GALACTIC", ("elon", "elat"): "ECLIPTIC",
    ("lambda", "beta"): "ECLIPTIC", ("ecllon", "ecllat"): "ECLIPTIC", ("sgl", "sgb"): "SUPERGALACTIC",
    ("raj2000", "dej2000"): "FK5 J2000", ("raj2000", "decj2000"): "FK5 J2000", ("raicrs", "deicrs"): "ICRS",
    ("raicrs", "decicrs"): "ICRS",
    ("rab1950", "deb1950"): "FK4 B1950", ("rab1950", "decb1950"): "FK4 B1950", ("ra1950", "dec1950"): "FK4 B1950",
    ("ra1950", "de1950"): "FK4 B1950",
}  # fmt: skip
_SAME_EQUINOX = 1e-3  # years
_KEYS = ("radesys", "radecsys", "coordsys", "coosys", "coordinate_frame", "coordinate_system", "frame")


class Frame:
    """A coordinate frame as a file states it.

    Attributes
    ----------
    stated : the words of the file, "" if it states none, which means ICRS
    is_equatorial : whether its coordinates are right ascension and declination
    is_icrs : whether its positions are those of ICRS
    """

    def __init__(self, stated: str, where: object) -> None:
        """Parse the frame that the file `where` states.

        Raises
        ------
        InputError
            It is none that can be converted.
        """
        self.stated = in_one_line(stated, 60)
        name, equinox = _parse(self.stated)
        self.is_equatorial = name in _EQUATORIAL
        frame = _astropy_frame(name, equinox)
        if frame is None:
            raise InputError(
                f"the positions of {where} are in the frame '{self.stated}', which cannot be converted; frames that "
                "can: ICRS, FK5 and FK4 with an equinox, Galactic, supergalactic, ecliptic. Convert them to ICRS "
                "(TOPCAT can)"
            )
        self._frame = frame
        self.is_icrs = isinstance(frame, ICRS)

    def is_same(self, other: "Frame") -> bool:
        """Whether the other one is the same frame, however it is spelt."""
        return bool(self._frame.is_equivalent_frame(other._frame))

    def add_function(self, con: Connection) -> None:
        """Define the SQL function `icrs(longitude, latitude)`: a struct of `ra` and `dec`, degrees."""
        con.create_function(
            "icrs", self._to_icrs, ["double", "double"], "STRUCT(ra DOUBLE, dec DOUBLE)", type=PythonUDFType.ARROW
        )

    def _to_icrs(self, longitude: pa.ChunkedArray, latitude: pa.ChunkedArray) -> pa.Array:
        lon, lat = np.asarray(longitude, np.float64), np.asarray(latitude, np.float64)
        good = np.isfinite(lon) & (np.abs(lat) <= 90)
        ra, dec = np.full(lon.shape, np.nan), np.full(lat.shape, np.nan)
        if good.any():
            place = UnitSphericalRepresentation(lon[good] * u.deg, lat[good] * u.deg)
            with warnings.catch_warnings(), iers.conf.set_temp("auto_download", False):
                warnings.simplefilter("ignore", iers.IERSWarning)  # Earth's rotation plays no part in these frames
                found = self._frame.realize_frame(place).transform_to(ICRS())
            ra[good], dec[good] = found.ra.deg, found.dec.deg
        columns = [pa.array(values, mask=~good) for values in (ra, dec)]
        return pa.StructArray.from_arrays(columns, ["ra", "dec"])


def frame_of_columns(longitude: str, latitude: str) -> str:
    """Tell the frame by the names of two columns, such as GLON and GLAT; "" if they are names of any frame."""
    names = {re.sub(r"[^a-z0-9]", "", name.lower()) for name in (longitude, latitude)}
    return next((frame for pair, frame in _COLUMNS.items() if names == set(pair)), "")


def frame_in(metadata: Mapping[str, object]) -> str:
    """Find the frame that the metadata of a table state in keys of a FITS header."""
    keys = {str(key).lower(): value for key, value in metadata.items()}
    stated = next((str(keys[key]) for key in _KEYS if isinstance(keys.get(key), str) and keys[key]), "")
    if keys.get("frame") == stated and not _parse(stated)[0]:
        stated = ""  # the number of an image is called frame too
    return frame_with_equinox(stated, keys.get("equinox"))


def frame_with_equinox(stated: str, equinox: object) -> str:
    """Join the name of a frame, which may be "", and its equinox: a year, "B1950", an astropy Time or None."""
    if isinstance(equinox, Time):
        equinox = equinox.value if isinstance(equinox.value, str) else equinox.jyear_str
    if isinstance(equinox, int | float) and not stated:
        stated = "FK4" if equinox < 1984 else "FK5"  # FITS standard 4.0, section 8.3
    if not equinox or (stated and _parse(stated)[0] in ("icrs", "galactic", "supergalactic")):
        return stated
    return f"{stated or 'FK5'} {equinox}"


def _parse(stated: str) -> tuple[str, str]:
    """Split 'FK4 B1950.0' into 'fk4' and 'b1950.0'; the name is "" if it is not known."""
    text = stated.strip().strip("'\"").lower()
    if not text:
        return "icrs", ""
    found = _STATED.fullmatch(text)
    if not found:
        return "", ""
    name, equinox = found.groups("")
    return _NAMES.get(name.strip().replace(" ", "_"), ""), equinox


def _astropy_frame(name: str, equinox: str) -> BaseCoordinateFrame | None:
    system = "b" if name.startswith("fk4") else "j"
    given = (system + equinox if equinox[:1].isdigit() else equinox).upper()
    when = Time(given or ("B1950" if system == "b" else "J2000"))
    if name == "icrs" or (name == "fk5" and abs(when.jyear - 2000) < _SAME_EQUINOX):
        return ICRS()
    if name == "fk5":
        return FK5(equinox=when)
    if name == "fk4":
        return FK4(equinox=when)
    if name == "fk4-no-e":
        return FK4NoETerms(equinox=when)
    if name == "ecliptic":
        return BarycentricMeanEcliptic(equinox=when)
    return {"galactic": Galactic(), "supergalactic": Supergalactic()}.get(name)
