"""Columns of the archives' tables, and those that the catalogue keeps.

Galaxy Zoo 1 Table 2 (Lintott et al. 2011, MNRAS 410, 166), SDSS PhotoObj (skyserver.sdss.org, schema browser)
and the main table of DES (des.ncsa.illinois.edu, DR1 and DR2). Only columns that the catalogue uses are listed here;
`--keep` keeps any other column. Names are matched in upper or lower case, because SkyServer, CasJobs, DESaccess and
TOPCAT each write them differently.
"""

import re
from dataclasses import dataclass, field

from catbuilder.ingest.tables.units import Quantity

_VOTES = ("P_EL", "P_CW", "P_ACW", "P_EDGE", "P_DK", "P_MG", "P_CS", "P_EL_DEBIASED", "P_CS_DEBIASED")
_BANDS = ("G", "R", "I")

DES_ARCSEC_PER_PIXEL = 0.263


@dataclass(frozen=True)
class Measurement:
    """A column of an archive, and the column of the catalogue that it fills.

    Attributes
    ----------
    theirs, ours : its name in the archive and in the catalogue
    sentinels : numbers that mean 'not measured'
    limits : values outside them are wrong
    matters : whether the report says so if the file lacks the column
    quantity : what it measures, which decides the units that can be converted
    """

    theirs: str
    ours: str
    type: str
    sentinels: tuple[float, ...] = ()
    limits: tuple[float, float] | None = None
    matters: bool = False
    quantity: Quantity = ""


@dataclass(frozen=True)
class Archive:
    """One kind of table from an archive.

    Attributes
    ----------
    kind : its name on the command line and in `objects.origin`
    table : table of the catalogue with a row for each object of such a file
    strength : positions of a stronger file replace those of a weaker one; images have 0
    survey : the survey it belongs to unless another is given
    ra, dec, id_column : the archive's names
    required : columns besides id and position that identify the file
    of_objects : measurements that go to `objects`
    of_archive : measurements that go to `table`
    radius_arcsec : SQL of the angular radius over the catalogue's columns; `radius_needs` are those columns
    arcsec_per_pixel : scale of columns that are in pixels
    """

    kind: str
    title: str
    table: str
    strength: int
    survey: str
    id_column: str
    ra: str
    dec: str
    required: tuple[str, ...]
    of_objects: tuple[Measurement, ...]
    of_archive: tuple[Measurement, ...]
    radius_arcsec: str = "NULL"
    radius_needs: tuple[str, ...] = field(default=())
    arcsec_per_pixel: float | None = None

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """All columns that are read besides id and position."""
        return self.of_objects + self.of_archive


def _des(
    theirs: str, kind: str, *, quantity: Quantity = "", matters: bool = False, sentinels: tuple[float, ...] = ()
) -> Measurement:
    return Measurement(theirs, theirs.lower(), kind, sentinels, matters=matters, quantity=quantity)


def _sdss(theirs: str, ours: str, kind: str = "FLOAT", quantity: Quantity = "") -> Measurement:
    sentinels = (-9999.0,) if kind == "FLOAT" else ()
    return Measurement(theirs, ours, kind, sentinels, matters=kind == "FLOAT", quantity=quantity)


_NOT_MEASURED = (99.0, -99.0)  # magnitudes and spread models of DES

GALAXY_ZOO = Archive(
    kind="gz1", title="Galaxy Zoo 1 Table 2", table="galaxy_zoo", strength=1, survey="sdss",
    id_column="OBJID", ra="RA", dec="DEC", required=("NVOTE", "P_EL_DEBIASED", "P_CS_DEBIASED"),
    of_objects=(),
    of_archive=(
        Measurement("NVOTE", "nvote", "INTEGER", limits=(0, 1e6)),
        *(Measurement(name, name.lower(), "FLOAT", limits=(0, 1), matters=True, quantity="share") for name in _VOTES),
        *(Measurement(name, name.lower(), "TINYINT", limits=(0, 1), matters=True)
          for name in ("SPIRAL", "ELLIPTICAL", "UNCERTAIN")),
    ),
)  # fmt: skip

SDSS_PHOTOOBJ = Archive(
    kind="sdss", title="SDSS PhotoObj", table="sdss_photoobj", strength=2, survey="sdss",
    id_column="objID", ra="ra", dec="dec", required=(),
    of_objects=tuple(_sdss(band.lower(), f"mag_{band.lower()}", quantity="magnitude") for band in _BANDS),
    of_archive=(
        _sdss("u", "u", quantity="magnitude"), _sdss("z", "z", quantity="magnitude"),
        _sdss("run", "imaging_run", "INTEGER"), _sdss("rerun", "rerun", "INTEGER"),
        _sdss("camcol", "camcol", "INTEGER"), _sdss("field", "field", "INTEGER"),
        _sdss("petroRad_r", "petrorad_r", quantity="arcsec"),
    ),
    radius_arcsec="petrorad_r", radius_needs=("petrorad_r",),
)  # fmt: skip

DES_MAIN = Archive(
    kind="des", title="the DES main table", table="des_coadd", strength=2, survey="des",
    id_column="COADD_OBJECT_ID", ra="RA", dec="DEC", required=(),
    of_objects=tuple(
        Measurement(
            f"MAG_AUTO_{band}", f"mag_{band.lower()}", "FLOAT", _NOT_MEASURED, matters=True, quantity="magnitude"
        ) for band in _BANDS
    ),
    of_archive=(
        _des("TILENAME", "VARCHAR"),
        *(_des(f"MAG_AUTO_{band}", "FLOAT", quantity="magnitude", sentinels=_NOT_MEASURED) for band in "ZY"),
        *(_des(f"FLAGS_{band}", "SMALLINT", matters=True) for band in _BANDS),
        *(_des(f"IMAFLAGS_ISO_{band}", "INTEGER", matters=True) for band in _BANDS),
        *(_des(f"NEPOCHS_{band}", "SMALLINT", matters=True) for band in _BANDS),
        *(_des(f"{axis}WIN_IMAGE", "DOUBLE", quantity="pixels") for axis in "XY"),
        *(_des(name, "FLOAT", quantity="pixels") for name in ("A_IMAGE", "B_IMAGE")),
        _des("THETA_J2000", "FLOAT", quantity="degrees"), _des("KRON_RADIUS", "FLOAT", quantity="semi-axes"),
        *(_des(name, "FLOAT", quantity="pixels", sentinels=_NOT_MEASURED)
          for name in ("FLUX_RADIUS_I", "FWHM_IMAGE_I")),
        *(_des(name, "FLOAT", matters=True, sentinels=_NOT_MEASURED)
          for name in ("SPREAD_MODEL_I", "SPREADERR_MODEL_I", "WAVG_SPREAD_MODEL_I", "WAVG_SPREADERR_MODEL_I")),
        _des("EXTENDED_CLASS_COADD", "TINYINT", sentinels=(-9.0,)),
    ),
    # KRON_RADIUS is a multiple of the semi-major axis, which is in pixels
    radius_arcsec=f"kron_radius * a_image * {DES_ARCSEC_PER_PIXEL}", radius_needs=("kron_radius", "a_image"),
    arcsec_per_pixel=DES_ARCSEC_PER_PIXEL,
)  # fmt: skip

ARCHIVES = {archive.kind: archive for archive in (GALAXY_ZOO, SDSS_PHOTOOBJ, DES_MAIN)}

_DR2_OF_DES = ("EXTENDED_CLASS_COADD", "EXTENDED_CLASS_WAVG")
_RELEASE = re.compile(r"DR(\d+)", re.IGNORECASE)


def release_by_columns(archive: Archive, names: set[str]) -> tuple[str, str] | None:
    """Recognise the release by a column name (upper case): ('DR2', 'EXTENDED_CLASS_COADD')."""
    found = next((name for name in _DR2_OF_DES if name in names), None)
    return ("DR2", found) if archive is DES_MAIN and found else None


def sky_versions(archive: Archive, release: str) -> tuple[int, ...] | None:
    """Return the sky versions (objID >> 59, the highest bits of an SDSS objID) that the release uses.

    Up to DR7 it is 1 (0 for the target version of the photometry), from DR8 on 2. None if it is unknown: for other
    surveys, and for a release not named DR and a number.
    """
    number = _RELEASE.fullmatch(release.strip())
    if archive is DES_MAIN or number is None:
        return None
    return (0, 1) if int(number[1]) <= 7 else (2,)
