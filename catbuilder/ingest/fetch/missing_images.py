"""Which objects still want an image, how wide it should be, and the table that asks DESaccess for them all.

The width is the one of stamps cut from tiles (`config.StampWidths`): so many radii as the survey measured them, between
10 and 120 arcsec, so that a galaxy fills its frame alike whether its image was fetched, ordered or cut here.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow
from catbuilder.catalogue.where_condition import condition_errors, confined_condition
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError
from catbuilder.core.files import atomic_write
from catbuilder.core.resources import query
from catbuilder.core.settings import StampWidths

_CHOSEN = pa.schema([("survey", pa.string()), ("object_id", pa.int64())])


@dataclass(frozen=True)
class Target:
    """An object without an image; its position in ICRS degrees and the width of the cut-out to ask for.

    Where `named`, object_id is our number for a name that is no number, which the survey itself does not know.
    """

    object_id: int
    ra: float
    dec: float
    width_arcsec: float
    named: bool = False


@dataclass(frozen=True)
class CutoutList:
    """How many objects a cut-out job asks for, and how many not, for want of an id that the service knows."""

    listed: int
    left_out: int


def cutout_width(limits: StampWidths, survey: str, radius_arcsec: float | None) -> float:
    """Width of the cut-out of an object, arcsec. A radius that is no positive number was not measured."""
    if radius_arcsec is None or not radius_arcsec > 0:
        return limits.unknown_arcsec
    width = limits.radii.get(survey, limits.other_radii) * radius_arcsec
    return min(max(width, limits.min_arcsec), limits.max_arcsec)


def objects_without_image(
    workspace: Workspace,
    survey: str,
    *,
    where: str | None = None,
    n: int | None = None,
    width_arcsec: float | None = None,
) -> list[Target]:
    """Objects of a survey with a position and no whole stamp, by object_id; test objects are among them.

    A stamp is whole if it could be read and, where it was cut from tiles, has its pixels (not `masked` or `truncated`).

    Parameters
    ----------
    where : an SQL condition on the columns of `catalog`
    n : the first so many
    width_arcsec : of all of them; by default each by its radius

    Raises
    ------
    InputError
        The workspace has no such survey.
    QueryError
        The condition is not valid.
    """
    workspace.check_survey(survey)
    with workspace.reading() as con:
        _choose(con, where)
        rows = fetch_arrow(con, query("ingest/cutout_targets"), {"survey": survey, "n": n}).to_pylist()
    return [
        Target(
            row["object_id"], row["ra"], row["dec"],
            width_arcsec or cutout_width(workspace.config.stamps, survey, row["radius_arcsec"]),
            row["named"],
        )
        for row in rows
    ]  # fmt: skip


def still_without_image(workspace: Workspace, survey: str, object_ids: list[int]) -> set[int]:
    """Those of the objects that are without an image in the sense of `objects_without_image`."""
    chosen = pa.table({"survey": [survey] * len(object_ids), "object_id": object_ids}, _CHOSEN)
    with workspace.reading() as con:
        con.register("chosen", chosen)
        rows = fetch_arrow(con, query("ingest/cutout_targets"), {"survey": survey, "n": None})
    return set(rows.column("object_id").to_pylist())


def write_cutout_list(
    workspace: Workspace,
    file: Path,
    *,
    survey: str = "des",
    where: str | None = None,
    width_arcsec: float | None = None,
    by: Literal["both", "id", "position"] = "both",
) -> CutoutList:
    """Write the table of a DESaccess cut-out job, one row an object without an image.

    Columns are RA, DEC (ICRS degrees), XSIZE, YSIZE (arcmin) and COADD_OBJECT_ID. Objects known by a name and not by
    a number of the survey are left out where that id is written. With nothing to ask for, no file is written.

    Parameters
    ----------
    by : what names the object in a row; the job service of DES DR2 refuses rows that give both

    Raises
    ------
    InputError
        The survey's ids are not those of DES, or the file cannot stand there.
    QueryError
        The condition is not valid.
    """
    targets = objects_without_image(workspace, survey, where=where, width_arcsec=width_arcsec)
    id_column = workspace.config.surveys[survey].id_column
    if by != "position" and id_column.upper() != "COADD_OBJECT_ID":
        raise InputError(f"{survey} has {id_column} as its id, which DESaccess does not know; use --by position")
    if not file.parent.is_dir():
        raise InputError(f"there is no folder {file.parent}; make it, or choose another place for {file.name}")
    if file.is_dir():
        raise InputError(f"{file} is a folder; name the file to write, such as {file / 'cutouts.csv'}")
    known = [target for target in targets if by == "position" or not target.named]
    if known:
        with atomic_write(file) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
            rows = csv.DictWriter(out, _columns(by), extrasaction="ignore", lineterminator="\n")
            rows.writeheader()
            rows.writerows(_job_row(target) for target in known)
    return CutoutList(len(known), len(targets) - len(known))


def _columns(by: str) -> list[str]:
    place, size, name = ["RA", "DEC"], ["XSIZE", "YSIZE"], ["COADD_OBJECT_ID"]
    return {"both": place + size + name, "id": size + name, "position": place + size}[by]


def _job_row(target: Target) -> dict[str, object]:
    arcmin = f"{target.width_arcsec / 60:.4f}"
    # Eight decimals are 0.04 mas: the catalogue's own position comes back from them.
    return {
        "RA": f"{target.ra:.8f}", "DEC": f"{target.dec:.8f}", "XSIZE": arcmin, "YSIZE": arcmin,
        "COADD_OBJECT_ID": target.object_id,
    }  # fmt: skip


def _choose(con: Connection, where: str | None) -> None:
    """Make the temporary table `chosen` of the objects that meet the user's condition."""
    condition = confined_condition(con, where)
    source = "catalog" if where else "standing_objects_at(2147483647)"
    with condition_errors(where):
        con.execute(f"CREATE TEMP TABLE chosen AS SELECT DISTINCT survey, object_id FROM {source} WHERE {condition}")
