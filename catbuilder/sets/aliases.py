"""Identity: an image given by position shows a galaxy that the survey's catalogue has under its own id.

Such an image becomes an alias: it leaves the catalogue, and the catalogued object takes what it lacks from it, its
stamp, its split and the labels that people gave to it. Nothing is moved or deleted: what stood under the image's id
stays there as history, and every row taken over is a new one. The price is that one galaxy has two ids in the tables;
`catalog` shows it once. Several images may show one object. A test object keeps the id its frozen set names.
"""

from dataclasses import dataclass

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number
from catbuilder.catalogue.label_events import EVENTS, fresh_labels, record_events
from catbuilder.catalogue.read_then_record import read_then_record
from catbuilder.catalogue.workspace import Recording, Workspace, replace_older
from catbuilder.core.resources import query
from catbuilder.sets.pairs import Side, check_radius, find_candidates

IMAGES = ("images",)
CATALOGUES = ("gz1", "sdss", "des")

_ROWS_TAKEN = ("stamps", "splits", "exclusions")  # tables that get a new row; labels get an event
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
    """What `find_aliases` did; a second call in a row finds nothing to do."""

    considered: int  # images with a position that stood for themselves
    identified: int = 0  # of these, images that stand for a catalogued object now
    stamps: int = 0  # objects that took an image's stamp
    splits: int = 0  # objects that took an image's split
    labels: int = 0  # labels recorded for the object as they stood for the image
    exclusions: int = 0  # what the firewall knew of an image, recorded for the object

    def sentences(self) -> list[str]:
        """What a person should know of it; nothing where nothing was done."""
        said = []
        if self.identified:
            said.append(
                f"{self.identified:,} of {self.considered:,} images with a position show a catalogued object of their "
                "survey, and stand for it now."
            )
        if self.stamps or self.splits or self.labels or self.exclusions:
            said.append(
                f"Objects took from their images: {self.stamps:,} stamps, {self.splits:,} splits, {self.labels:,} "
                f"labels and {self.exclusions:,} exclusions by the firewall."
            )
        return said


def find_aliases(workspace: Workspace, radius_arcsec: float = 1.0) -> AliasReport:
    """Make every image within the radius of a catalogued object of its survey an alias of the nearest such object.

    The object takes an image's stamp if it has none that can be read, an image's split if nobody has stated one of it
    (calibration always), the labels of every source and annotator that has given it none, and always what the firewall
    knows of its images. Labels and splits given to an image after it was identified are carried over by the next call.

    Raises
    ------
    InputError
        The radius is not above 0 and up to 60 arcsec.
    WorkspaceBusy
        Others recorded something again and again while this was looking.
    """
    check_radius(radius_arcsec)
    report = AliasReport(0)

    def read(con: Connection) -> tuple[int, pa.Table, bool]:
        return *_find(con, radius_arcsec), _is_waiting(con)

    def record(recording: Recording, seen: tuple[int, pa.Table, bool]) -> None:
        nonlocal report
        considered, found, _ = seen
        recording.con.register("found", found)
        recording.con.execute(query("sets/alias_record"), {"round": recording.round, "run": recording.run})
        report = AliasReport(considered, found.num_rows, **_take_all(recording))

    considered, found, waiting = read_then_record(
        workspace, "identify images", read, lambda seen: bool(seen[1].num_rows) or seen[2], record
    )
    return report if found.num_rows or waiting else AliasReport(considered)


def carry_over(workspace: Workspace) -> None:
    """Let catalogued objects take what their images were given since: for a table that names the images again."""
    with workspace.reading() as con:
        waiting = _is_waiting(con)
    if waiting:
        with workspace.recording("carry over from images") as recording:
            _take_all(recording)


def _is_waiting(con: Connection) -> bool:
    """Whether objects lack something that their images have."""
    if not fetch_number(con, "SELECT count(*) FROM aliases"):
        return False
    return any(fetch_arrow(con, query(f"sets/alias_{what}")).num_rows for what in (*_ROWS_TAKEN, "labels"))


def _take_all(recording: Recording) -> dict[str, int]:
    """New rows for objects from those of their images; how many of each table."""
    taken = {table: _take_rows(recording, table) for table in _ROWS_TAKEN}
    return taken | {"labels": _take_labels(recording)}


def _find(con: Connection, radius_arcsec: float) -> tuple[int, pa.Table]:
    """How many images were looked at, and which object each of them shows, as a table of `_FOUND`."""
    considered, found = 0, [_FOUND.empty_table()]
    for survey, images, has_catalogue in con.execute(query("sets/alias_surveys")).fetchall():
        considered += images
        if images and has_catalogue:
            find_candidates(con, Side(survey, IMAGES), Side(survey, CATALOGUES), radius_arcsec)
            found.append(fetch_arrow(con, query("sets/alias_found"), {"survey": survey}).cast(_FOUND))
    return considered, pa.concat_tables(found)


def _take_rows(recording: Recording, table: str) -> int:
    """New rows of a table for objects, from those of their images."""
    rows = fetch_arrow(recording.con, query(f"sets/alias_{table}"))
    recording.con.register("taken", rows)
    # a name of `_ROWS_TAKEN`
    recording.con.execute(
        f"INSERT INTO {table} BY NAME SELECT *, $round AS round, $run AS run FROM taken",
        {"round": recording.round, "run": recording.run},
    )
    if table in ("stamps", "splits"):
        replace_older(recording, table)
    return int(rows.num_rows)


def _take_labels(recording: Recording) -> int:
    """Label events for objects, from those of their images."""
    events = fetch_arrow(recording.con, query("sets/alias_labels")).cast(EVENTS)
    return record_events(recording, fresh_labels(recording, events))
