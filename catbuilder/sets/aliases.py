"""Aliases: link an image ingested by position to the catalogued galaxy it shows.

The image becomes an alias of the galaxy and no longer appears in the view `catalog`. The catalogued object takes from
it the stamp, the split and the labels by people that it lacks. Nothing is moved or deleted: rows under the image's id
stay as history, and copies are new rows. So one galaxy has two ids in the tables, but one row in `catalog`. Several
images may show one object. A test object keeps the id under which its frozen set lists it.
"""

from dataclasses import dataclass

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number
from catbuilder.catalogue.label_events import EVENTS, fresh_labels, record_events
from catbuilder.catalogue.read_then_record import read_then_record
from catbuilder.catalogue.workspace import Recording, Workspace, replace_older
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.sets.pairs import Side, check_radius, find_candidates

IMAGES = ("images",)
CATALOGUES = ("gz1", "sdss", "des")

_COPIED_TABLES = ("stamps", "splits", "exclusions")  # tables whose rows are copied; labels are copied as events
_FOUND = pa.schema(
    [
        ("survey", pa.string()),
        ("object_id", pa.int64()),
        ("of_object_id", pa.int64()),
        ("separation_arcsec", pa.float64()),
    ]
)


@dataclass(frozen=True)
class AliasReport:
    """Result of `find_aliases`; an immediate second call finds nothing."""

    considered: int  # images with a position that were no aliases
    identified: int = 0  # of these, images that are aliases of a catalogued object now
    stamps: int = 0  # objects that got an image's stamp
    splits: int = 0  # objects that got an image's split
    labels: int = 0  # labels copied from images
    exclusions: int = 0  # firewall exclusions copied from images

    def sentences(self) -> list[str]:
        """Describe what was done; empty if nothing was."""
        text = []
        if self.identified:
            text.append(
                f"Of {counted(self.considered, 'image')} with a position, {self.identified:,} "
                f"{'shows' if self.identified == 1 else 'show'} a catalogued object of the same survey, as an alias "
                "of it from now on."
            )
        if self.stamps or self.splits or self.labels or self.exclusions:
            text.append(
                f"Copied from images to catalogued objects: {counted(self.stamps, 'stamp')}, "
                f"{counted(self.splits, 'split')}, {counted(self.labels, 'label')} and "
                f"{counted(self.exclusions, 'exclusion')} by the firewall."
            )
        return text


def find_aliases(workspace: Workspace, radius_arcsec: float = 1.0) -> AliasReport:
    """Make every image within the radius of a catalogued object of its survey an alias of the nearest such object.

    The object gets an image's stamp if it has no readable one; an image's split if nobody has stated one for it (the
    split calibration always); the labels of every source and annotator that has not labelled it; and always the
    firewall's exclusions of its images. The next call copies labels and splits that an image is given later.

    Raises
    ------
    InputError
        The radius is not above 0 and up to 60 arcsec.
    WorkspaceBusy
        Other processes kept recording while this one was searching.
    """
    check_radius(radius_arcsec)
    report = AliasReport(0)

    def read(con: Connection) -> tuple[int, pa.Table, bool]:
        return *_match_images(con, radius_arcsec), _has_rows_to_copy(con)

    def record(recording: Recording, seen: tuple[int, pa.Table, bool]) -> None:
        nonlocal report
        considered, found, _ = seen
        recording.con.register("found", found)
        recording.con.execute(query("sets/record_aliases"), {"round": recording.round, "run": recording.run})
        report = AliasReport(considered, found.num_rows, **_copy_all(recording))

    considered, found, waiting = read_then_record(
        workspace, "identify images", read, lambda seen: bool(seen[1].num_rows) or seen[2], record
    )
    return report if found.num_rows or waiting else AliasReport(considered)


def copy_from_images(workspace: Workspace) -> None:
    """Copy to catalogued objects the stamps, splits, labels and exclusions that their images were given since.

    Ingest calls it when a table names such images again.
    """
    with workspace.reading() as con:
        waiting = _has_rows_to_copy(con)
    if waiting:
        with workspace.recording("carry over from images") as recording:
            _copy_all(recording)


def _has_rows_to_copy(con: Connection) -> bool:
    if not fetch_number(con, "SELECT count(*) FROM aliases"):
        return False
    return any(fetch_arrow(con, query(f"sets/alias_{what}")).num_rows for what in (*_COPIED_TABLES, "labels"))


def _copy_all(recording: Recording) -> dict[str, int]:
    """Copy rows and labels of images to their objects; return the number copied, by table."""
    copied = {table: _copy_rows(recording, table) for table in _COPIED_TABLES}
    return copied | {"labels": _copy_labels(recording)}


def _match_images(con: Connection, radius_arcsec: float) -> tuple[int, pa.Table]:
    """Find the catalogued object that each image shows: the number of images searched, and a table of `_FOUND`."""
    considered, found = 0, [_FOUND.empty_table()]
    for survey, images, has_catalogue in con.execute(query("sets/alias_surveys")).fetchall():
        considered += images
        if images and has_catalogue:
            find_candidates(con, Side(survey, IMAGES), Side(survey, CATALOGUES), radius_arcsec)
            found.append(fetch_arrow(con, query("sets/alias_nearest"), {"survey": survey}).cast(_FOUND))
    return considered, pa.concat_tables(found)


def _copy_rows(recording: Recording, table: str) -> int:
    """Copy rows of a table from images to their objects."""
    rows = fetch_arrow(recording.con, query(f"sets/alias_{table}"))
    recording.con.register("taken", rows)
    # the table is one of `_COPIED_TABLES`, so pasting its name is safe
    recording.con.execute(
        f"INSERT INTO {table} BY NAME SELECT *, $round AS round, $run AS run FROM taken",
        {"round": recording.round, "run": recording.run},
    )
    if table in ("stamps", "splits"):
        replace_older(recording, table)
    return int(rows.num_rows)


def _copy_labels(recording: Recording) -> int:
    """Copy label events from images to their objects."""
    events = fetch_arrow(recording.con, query("sets/alias_labels")).cast(EVENTS)
    return record_events(recording, fresh_labels(recording, events))
