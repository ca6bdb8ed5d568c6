"""Find the objects without an image, choose the width of their cut-outs, and list them for DESaccess.

The width is that of stamps cut from tiles (`settings.StampWidths`): a number of the survey's radii, between 10 and 120
arcsec. So a galaxy fills the same part of its frame whether its image was fetched, ordered or cut from a tile.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow
from catbuilder.catalogue.where_condition import condition_errors, confined_condition
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.arguments import INT64_MAX, require_number_in, require_one_of
from catbuilder.core.errors import InputError
from catbuilder.core.files import atomic_write
from catbuilder.core.paths import file_to_write
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.core.settings import StampWidths

WIDEST_ARCSEC = 3600.0
_CHOSEN = pa.schema([("survey", pa.string()), ("object_id", pa.int64())])


@dataclass(frozen=True)
class Target:
    """An object without an image: its position (ICRS, deg) and the width of its cut-out.

    If `named`, the object has a text id, and object_id is our number for it, which the survey does not know.
    """

    object_id: int
    ra: float
    dec: float
    width_arcsec: float
    named: bool = False


@dataclass(frozen=True)
class CutoutList:
    """Counts of a cut-out list, and the file it was written to.

    Attributes
    ----------
    file : Path
        The CSV file.
    survey : str
        Survey of the objects.
    by : str
        'both', 'id' or 'position'.
    listed : int
        Number of objects listed.
    left_out : int
        Number of objects without an id that the service knows.
    """

    file: Path
    survey: str
    by: str
    listed: int
    left_out: int

    def sentences(self) -> list[str]:
        """Say what was listed, and what to do with the list, a line each."""
        if not self.listed:
            nothing = (
                f"Nothing to list: every {self.survey} object with a position that meets the condition has an image."
            )
            return [] if self.left_out else [nothing]
        lines = [f"{counted(self.listed, 'object')} without an image listed in {self.file}."]
        if self.by == "both":
            lines.append("If the service refuses rows with both an id and a position, write the list with --by id.")
        return [
            *lines,
            "Next: submit it to the cut-out service of DESaccess (the rows of a job are limited: see --where), then: "
            "catbuilder ingest tiles DIR, or catbuilder ingest images DIR",
        ]

    def warnings(self) -> list[str]:
        """Count the objects that were left out, with the remedy."""
        if not self.left_out:
            return []
        objects = "object" if self.left_out == 1 else "objects"
        return [
            f"Left out: {self.left_out} {objects} with a text id, which the service does not know; list them with "
            "--by position."
        ]


def cutout_width(limits: StampWidths, survey: str, radius_arcsec: float | None) -> float:
    """Compute the width of an object's cut-out, arcsec; a radius that is not positive counts as not measured."""
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
    """Find the objects of a survey with a position and no complete stamp, by object_id; test objects are among them.

    A stamp is complete if it could be read and, if cut from tiles, lacks no pixels (not `masked` or `truncated`).

    Parameters
    ----------
    where : SQL condition on the columns of `catalog`
    n : the most objects to return
    width_arcsec : width of every cut-out; by default from each object's radius

    Raises
    ------
    InputError
        The workspace has no such survey.
    QueryError
        The condition is not valid.
    """
    workspace.check_survey(survey)
    require_number_in(n, 1, INT64_MAX, "the number of objects")
    require_number_in(width_arcsec, 1, WIDEST_ARCSEC, "the width of an image, in arcsec,")
    with workspace.reading() as con:
        _choose(con, where)
        rows = fetch_arrow(con, query("ingest/objects_without_image"), {"survey": survey, "n": n}).to_pylist()
    return [
        Target(
            row["object_id"], row["ra"], row["dec"],
            width_arcsec or cutout_width(workspace.config.stamps, survey, row["radius_arcsec"]),
            row["named"],
        )
        for row in rows
    ]  # fmt: skip


def still_without_image(workspace: Workspace, survey: str, object_ids: list[int]) -> set[int]:
    """Find which of these objects have no image, as `objects_without_image` defines it."""
    chosen = pa.table({"survey": [survey] * len(object_ids), "object_id": object_ids}, _CHOSEN)
    with workspace.reading() as con:
        con.register("chosen", chosen)
        rows = fetch_arrow(con, query("ingest/objects_without_image"), {"survey": survey, "n": None})
    return set(rows.column("object_id").to_pylist())


def write_cutout_list(
    workspace: Workspace,
    file: str | Path,
    *,
    survey: str = "des",
    where: str | None = None,
    width_arcsec: float | None = None,
    by: Literal["both", "id", "position"] = "both",
) -> CutoutList:
    """Write the table of a DESaccess cut-out job: a row for each object without an image.

    Columns are RA, DEC (ICRS degrees), XSIZE, YSIZE (arcmin) and COADD_OBJECT_ID. Objects with a text id are left out
    of a list that gives ids. With no object to list, no file is written.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    file : str or Path
        CSV file to write.
    survey : str
        Survey of the objects; default `"des"`.
    where : str, optional
        SQL condition on the columns of the view `catalog`; by default all objects.
    width_arcsec : float, optional
        Width of every cut-out in arcsec; by default from each object's radius.
    by : {"both", "id", "position"}
        How to identify the objects; default 'both'. The job service of DES DR2 refuses rows that give both.

    Returns
    -------
    CutoutList
        The file, and the numbers of objects listed and left out.

    Raises
    ------
    InputError
        The survey's ids are not those of DES, or the file cannot be written.
    QueryError
        The condition is not valid.

    Examples
    --------
    >>> catbuilder.write_cutout_list(workspace, "cutouts.csv", by="id").listed
    """
    file = file_to_write(file)
    require_one_of(by, ("both", "id", "position"), "the way to identify objects")
    targets = objects_without_image(workspace, survey, where=where, width_arcsec=width_arcsec)
    id_column = workspace.config.surveys[survey].id_column
    if by != "position" and id_column.upper() != "COADD_OBJECT_ID":
        raise InputError(f"{survey} has {id_column} as its id, which DESaccess does not know; use --by position")
    known = [target for target in targets if by == "position" or not target.named]
    if known:
        with atomic_write(file) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
            rows = csv.DictWriter(out, _columns(by), extrasaction="ignore", lineterminator="\n")
            rows.writeheader()
            rows.writerows(_job_row(target) for target in known)
    return CutoutList(file, survey, by, len(known), len(targets) - len(known))


def _columns(by: str) -> list[str]:
    place, size, name = ["RA", "DEC"], ["XSIZE", "YSIZE"], ["COADD_OBJECT_ID"]
    return {"both": place + size + name, "id": size + name, "position": place + size}[by]


def _job_row(target: Target) -> dict[str, object]:
    arcmin = f"{target.width_arcsec / 60:.4f}"
    # Eight decimals are 0.04 mas, which give back the catalogue's own position.
    return {
        "RA": f"{target.ra:.8f}", "DEC": f"{target.dec:.8f}", "XSIZE": arcmin, "YSIZE": arcmin,
        "COADD_OBJECT_ID": target.object_id,
    }  # fmt: skip


def _choose(con: Connection, where: str | None) -> None:
    """Make the temporary table `chosen` of the objects that meet the user's condition."""
    condition = confined_condition(con, where)
    source = "catalog" if where else "standing_objects_at()"
    with condition_errors(where):
        con.execute(f"CREATE TEMP TABLE chosen AS SELECT DISTINCT survey, object_id FROM {source} WHERE {condition}")
