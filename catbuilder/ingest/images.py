"""Ingest a folder of images and the table that names them.

Objects, stamps, splits and label events are recorded in one transaction.
"""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy.coordinates import angular_separation

from catbuilder.catalogue.label_events import EVENTS, fresh_labels, record_events
from catbuilder.catalogue.vocabulary import DOMAINS, SOURCES, SPLITS
from catbuilder.catalogue.workspace import Recording, Workspace, record_rejections, replace_older
from catbuilder.core.arguments import require_pixel_scale
from catbuilder.core.cluster import HERE, connected, current_cluster
from catbuilder.core.coordinates import doubt_positions
from catbuilder.core.errors import InputError
from catbuilder.core.files import sha256_file
from catbuilder.core.machine import usable_cores
from catbuilder.core.paths import named_path
from catbuilder.core.progress import Reporter
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted, in_one_line
from catbuilder.core.sky import SAME_POSITION_ARCSEC, healpix_cell
from catbuilder.core.stamps import SHARD_ROWS, require_stamp_size, write_shard
from catbuilder.core.tasks import Place, Task, map_tasks
from catbuilder.core.user_csv import (
    OBJECT_ID,
    BadValue,
    CsvColumn,
    CsvRow,
    CsvRows,
    Rejection,
    choice_column,
    label_column,
    list_rejections,
    number_column,
    position_columns,
    read_table,
    see_the_rest,
    unused_columns,
)
from catbuilder.ingest.picture import FLAGGED_STAMPS, Picture, count_flags, read_picture
from catbuilder.sets.aliases import copy_from_images

Progress = Callable[[int, int], None]  # (done, of)

_TOGETHER = 64  # images that a node of a cluster reads at a time: some tenths of a second of work


@dataclass(frozen=True)
class IngestReport:
    """Counts of an ingest of images; every row of the table is in exactly one of them.

    Attributes
    ----------
    added : int
        Number of objects with a good stamp.
    flagged : dict[str, int]
        Number of other added stamps by quality flag; these are kept out of training and scoring.
    unchanged : int
        Number of objects in the catalogue already, with the same image.
    rejections : tuple[Rejection, ...]
        Rows that were left out.
    flagged_files : tuple[str, ...]
        "file: flags or reason", a line for each flagged image.
    unused_columns : tuple[str, ...]
        Columns of the table that are not used, some with a hint.
    without_position : int
        Number of objects of the table whose position neither the table nor the catalogue has.
    doubt : str
        Says that the positions look like hours or radians; empty if they do not.
    """

    added: int
    flagged: dict[str, int]
    unchanged: int
    rejections: tuple[Rejection, ...]
    flagged_files: tuple[str, ...]
    unused_columns: tuple[str, ...] = ()
    without_position: int = 0
    doubt: str = ""

    @property
    def nothing_used(self) -> bool:
        """Whether no row of the table could be used."""
        return not (self.added or self.flagged_files or self.unchanged)

    def sentences(self) -> list[str]:
        """Summarise the ingest for a person, a line each."""
        lines = [f"{counted(self.added, 'object')} added, {counted(self.unchanged, 'was', 'were')} there already."]
        lines += unused_columns(self.unused_columns)
        if self.without_position:
            have, them = ("has", "it") if self.without_position == 1 else ("have", "them")
            lines.append(
                f"Warning: {counted(self.without_position, 'object')} of the table {have} no position (ra and dec). "
                f"The firewall cannot compare positions for {them}: a galaxy of a test set is then known by its id or "
                "its picture alone, and may be trained on."
            )
        if self.flagged:
            n, flags = len(self.flagged_files), count_flags(self.flagged)
            lines.append(
                f"{counted(n, 'more is', 'more are')} kept out of training and scoring for "
                f"{'its' if n == 1 else 'their'} quality ({flags}):"
            )
            lines += [f"  {line}" for line in self.flagged_files[:20]]
        return lines

    def warnings(self) -> list[str]:
        """Say if positions look like hours, list the rejected rows, and name queries that show long lists in full."""
        doubt = [f"{self.doubt}."] if self.doubt else []
        return doubt + see_the_rest(len(self.flagged_files), FLAGGED_STAMPS) + list_rejections(self.rejections)


@dataclass
class _Row:
    """A good row of the table, with its image once that is read."""

    number: int
    cells: dict[str, str]
    object_id: int
    name: str | None
    path: Path
    ra: float | None
    dec: float | None
    numbers: dict[str, float | None]
    label: str | None
    domain: str | None
    picture: Picture | None = None
    shard: str | None = None
    shard_row: int | None = None


_NUMBERS = {"mag_g": (-5.0, 50.0), "mag_r": (-5.0, 50.0), "mag_i": (-5.0, 50.0), "radius_arcsec": (0.0, 1e5)}


def ingest_images(
    workspace: Workspace,
    folder: str | Path,
    table: str | Path,
    *,
    survey: str,
    split: str | None = None,
    default_split: str | None = None,
    source: str = "imported",
    rendering: str | None = None,
    arcsec_per_pixel: float | None = None,
    strict: bool = False,
    cluster: str = "",
    progress: Progress | None = None,
    reporter: Reporter | None = None,
) -> IngestReport:
    """Ingest a folder of JPEG or PNG images and the table that names them.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    folder : str or Path
        Folder of the images.
    table : str or Path
        CSV file with `object_id`, `file` (path below the folder) and optionally `ra`, `dec` (ICRS, degrees or
        sexagesimal), `label`,
        `split`, `mag_g`, `mag_r`, `mag_i` (mag), `radius_arcsec`, `domain`; names of columns in any case.
    survey : str
        Survey of the objects.
    split : {"train", "validation", "calibration", "pool", "none"}, optional
        Split of the rows that state none. An object of split `none` is scored, but neither trained on nor promoted.
    default_split : str, optional
        Split where neither the table nor `split` states one; by default `train` for rows with a label and `pool` for
        the others. Any stated split and the rules of `assemble` replace it.
    source : {"human", "galaxy_zoo", "imported"}
        Source of the labels; default 'imported'.
    rendering : str, optional
        Name of the way in which these images were made; by default survey and folder.
    arcsec_per_pixel : float, optional
        Pixel scale of the source images in arcsec, 0.001 to 60, to be recorded.
    strict : bool
        Refuse the table, and record nothing, if a row cannot be used; default False.
    cluster : str
        Ray cluster whose nodes share the work, as `auto`, `local`, `ray://HOST:PORT` or `HOST:PORT`; by default
        processes of this machine. The catalogue does not depend on it.
    progress : callable, optional
        Called with the numbers of images done and in all.
    reporter : Reporter, optional
        Told when the cluster has no room yet; by default nothing is printed.

    Returns
    -------
    IngestReport
        Numbers of objects added, flagged and unchanged, and the rejected rows.

    Raises
    ------
    InputError
        The folder, the table or the pixel scale cannot be used. Single bad rows are rejected and reported.
    LaunchError, HostLost
        The cluster cannot be used, or its nodes were lost again and again.

    Examples
    --------
    >>> catbuilder.ingest_images(workspace, "sdss/", "sdss.csv", survey="sdss", source="galaxy_zoo").added
    """
    folder, table = named_path(folder, "the folder of images"), named_path(table, "the table of images")
    require_pixel_scale(arcsec_per_pixel, "arcsec_per_pixel")
    _check_arguments(workspace, folder, survey, (split, default_split), source)
    columns = _columns(workspace.config.classes, folder.resolve())
    rows_in = read_table(table, columns, limits=workspace.config.limits)
    rows = _good_rows(rows_in)
    doubt = doubt_positions([(row.ra, row.dec) for row in rows])
    rows, known = _separate_known(workspace, rows, rows_in, survey)
    if strict:
        rows_in.refuse_rejections()
    with connected(cluster, (reporter or Reporter(quiet=True)).say, HERE):
        _store_stamps(workspace, survey, rows, progress)
    with workspace.recording(f"ingest images {folder.name} --survey {survey}") as recording:
        incoming = _as_table(
            rows, survey, split, default_split, rendering or f"{survey}/{folder.name}", arcsec_per_pixel
        )
        _record(workspace, recording, rows, incoming)
        _record_new_splits(recording, known, survey, split)
        _record_measurements(recording, rows + known, survey)
        record_events(recording, fresh_labels(recording, _label_events(rows + known, survey, source)))
        record_rejections(recording, rows_in.rejections)
        without_position = _count_without_position(recording, rows + known, survey)
    copy_from_images(workspace)
    return replace(_report(rows, len(known), rows_in, without_position), doubt=doubt)


def _check_arguments(
    workspace: Workspace, folder: Path, survey: str, splits: tuple[str | None, ...], source: str
) -> None:
    workspace.check_survey(survey)
    for split in splits:
        if split is not None and split not in SPLITS:
            raise InputError(f"unknown split '{split}'; use {', '.join(SPLITS)}")
    if source not in SOURCES[:3]:
        raise InputError(f"unknown source '{source}' of labels; use {', '.join(SOURCES[:3])}")
    require_stamp_size(workspace.path, workspace.config.stamp_size)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; give the folder that holds the images")
    if not any(path.is_file() and path.suffix.lower() in (".jpg", ".jpeg", ".png") for path in folder.rglob("*")):
        raise InputError(f"{folder} holds no .jpg, .jpeg or .png file; give the folder that holds the images")


def _columns(classes: Sequence[str], root: Path) -> tuple[CsvColumn, ...]:
    """The columns of a table of images in the folder `root`."""
    return (
        OBJECT_ID,
        *position_columns(),
        label_column(classes),
        choice_column("split", SPLITS),
        choice_column("domain", DOMAINS),
        CsvColumn("file", partial(_parse_file, root), required=True),
        *(number_column(name, *limits) for name, limits in _NUMBERS.items()),
    )


def _good_rows(table: CsvRows) -> list[_Row]:
    rows = []
    for row in table.rows:
        if (row["ra"] is None) != (row["dec"] is None):
            table.reject(row.number, row.cells, "it has only one of ra and dec; give both or neither")
        else:
            rows.append(_to_row(row))
    return rows


def _to_row(row: CsvRow) -> _Row:
    object_id, name = row["object_id"]
    numbers = {column: row[column] for column in _NUMBERS}
    return _Row(
        row.number, row.cells, object_id, name, row["file"], row["ra"], row["dec"], numbers, row["label"],
        row["domain"],
    )  # fmt: skip


def _parse_file(root: Path, file: str) -> Path:
    """The image's path, which must be inside the folder that was given."""
    if not file:
        raise BadValue("file is empty; every row needs an image")
    try:
        path = (root / file).resolve()
        is_file = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # a name too long, a zero byte, links in a circle
        raise BadValue(f"file '{in_one_line(file, 80)}' is not a valid file name ({in_one_line(error, 80)})") from None
    if not path.is_relative_to(root):
        raise BadValue(f"file '{in_one_line(file)}' leads out of {root}; name a file inside it")
    if not is_file:
        raise BadValue(f"there is no file '{in_one_line(file)}' in {root}")
    return path


def _separate_known(
    workspace: Workspace, rows: list[_Row], table: CsvRows, survey: str
) -> tuple[list[_Row], list[_Row]]:
    """Separate new rows from rows of objects already ingested with the same image; reject another image or position.

    An object whose image could not be read is accepted again, so that a repaired file can be loaded. So is an object
    whose stamp was cut from tiles and lacks pixels: no label or score rests on it.
    """
    with workspace.reading() as con:
        stamps = con.execute(query("ingest/existing_stamps"), {"survey": survey}).fetchall()
        con.register("wanted", pa.table({"object_id": pa.array([row.object_id for row in rows], pa.int64())}))
        places = con.execute(query("ingest/known_positions"), {"survey": survey}).fetchall()
    known = {object_id: (sha256, whole, misplaced) for object_id, sha256, whole, misplaced in stamps}
    position = {object_id: (ra, dec, origin) for object_id, ra, dec, origin in places}
    fresh, repeated = [], []
    for row in rows:
        sha256, whole, misplaced = known.get(row.object_id, (None, False, False))
        elsewhere = _position_conflict(row, position.get(row.object_id))
        if elsewhere:
            table.reject(row.number, row.cells, f"{survey} has it already with {elsewhere}")
        elif misplaced and row.ra is not None:
            fresh.append(row)  # a corrected position, which `_position_conflict` has checked
        elif sha256 is not None and sha256 == sha256_file(row.path):
            repeated.append(row)
        elif whole:
            reason = f"{survey} has another image of it already; an object keeps the stamp by which it was labelled"
            table.reject(row.number, row.cells, reason)
        else:
            fresh.append(row)
    return fresh, repeated


def _position_conflict(row: _Row, known: tuple[float | None, float | None, str] | None) -> str | None:
    """The known position of the object, in words, if the row states another; a catalogue's position is kept."""
    if row.ra is None or row.dec is None or known is None or known[:2] == (row.ra, row.dec):
        return None
    ra, dec, origin = known
    if ra is None or dec is None:
        return "no position, which cannot be changed"
    if origin == "images":
        return f"the position {ra}, {dec}, which cannot be changed"
    apart = 3600 * np.degrees(angular_separation(*np.radians([ra, dec, row.ra, row.dec])))
    return (
        f"the position {ra}, {dec}, {apart:.0f} arcsec away; is the id right?" if apart > SAME_POSITION_ARCSEC else None
    )


def _count_without_position(recording: Recording, rows: list[_Row], survey: str) -> int:
    """Count the objects whose position neither the table nor an earlier file gives."""
    lacking = pa.array([row.object_id for row in rows if row.ra is None], pa.int64())
    recording.con.register("wanted", pa.table({"object_id": lacking}))
    places = recording.con.execute(query("ingest/known_positions"), {"survey": survey}).fetchall()
    return sum(ra is None for _, ra, _, _ in places)


def _record_new_splits(recording: Recording, known: list[_Row], survey: str, split: str | None) -> None:
    """Record splits stated now for objects that were in the catalogue already."""
    news = [{"object_id": row.object_id, "split": row.cells.get("split") or split} for row in known]
    schema = pa.schema([("object_id", pa.int64()), ("split", pa.string())])
    recording.con.register("news", pa.Table.from_pylist(news, schema=schema))
    recording.con.execute(
        query("ingest/record_new_splits"), {"survey": survey, "round": recording.round, "run": recording.run}
    )
    replace_older(recording, "splits")


def _record_measurements(recording: Recording, rows: list[_Row], survey: str) -> None:
    """Record measurements that the table gives and the catalogue lacks."""
    recording.con.register("measured", _measured(rows, survey))
    recording.con.execute(query("ingest/objects_with_new_measurements"))
    for name in ("ingest/record_measurements", "ingest/record_measured_revisions"):
        recording.con.execute(query(name), {"round": recording.round, "run": recording.run})


def _store_stamps(workspace: Workspace, survey: str, rows: list[_Row], progress: Progress | None) -> None:
    """Decode the images on all cores and write them shard by shard."""
    size, most = workspace.config.stamp_size, workspace.config.limits.max_image_pixels
    with closing(_decoded([row.path for row in rows], size, most)) as pictures:
        for first in range(0, len(rows), SHARD_ROWS):
            batch = rows[first : first + SHARD_ROWS]
            for done, row in enumerate(batch, start=first + 1):
                row.picture = next(pictures)
                if progress:
                    progress(done, len(rows))
            _write_batch(workspace, survey, batch)


def _decoded(paths: list[Path], size: int, most: int) -> Generator[Picture]:
    """Decode images in order: in threads, as Pillow decodes without Python's lock, or on the nodes of a cluster."""
    if current_cluster():
        batches = [paths[first : first + _TOGETHER] for first in range(0, len(paths), _TOGETHER)]
        reading = Task(partial(_read_pictures, size=size, most=most), "reads images", lambda batch: map(str, batch))
        for pictures in map_tasks(reading, batches):
            yield from pictures
        return
    with ThreadPoolExecutor(usable_cores()) as pool:
        for first in range(0, len(paths), SHARD_ROWS):
            yield from pool.map(lambda path: read_picture(path, size, most), paths[first : first + SHARD_ROWS])


def _read_pictures(paths: list[Path], place: Place, size: int, most: int) -> list[Picture]:
    return [read_picture(Path(place.find(str(path))), size, most) for path in paths]


def _write_batch(workspace: Workspace, survey: str, batch: list[_Row]) -> None:
    pictures = [(row, row.picture) for row in batch if row.picture is not None]
    readable = [(row, picture) for row, picture in pictures if picture.pixels is not None]
    if not readable:
        return
    shard = write_shard(workspace.path, survey, np.array([picture.pixels for _, picture in readable], np.uint8))
    for place, (row, picture) in enumerate(readable):
        row.shard, row.shard_row = shard, place
        row.picture = replace(picture, pixels=None)  # written, so that its memory can be freed


def _record(workspace: Workspace, recording: Recording, rows: list[_Row], incoming: pa.Table) -> None:
    con, stamp = recording.con, {"round": recording.round, "run": recording.run}
    con.register("incoming", incoming)
    for name in ("ingest/record_objects", "ingest/record_stamps", "ingest/record_splits"):
        con.execute(query(name), stamp)
    for table in ("stamps", "splits"):
        replace_older(recording, table)
    con.register("incoming_shards", _shards(workspace, rows))
    con.execute("INSERT INTO shards BY NAME SELECT *, $round AS round, $run AS run FROM incoming_shards", stamp)


def _label_events(rows: list[_Row], survey: str, source: str) -> pa.Table:
    events = [
        {"survey": survey, "object_id": row.object_id, "kind": "label", "label": row.label, "source": source,
         "reason": f"ingested with {row.cells['file']}"}
        for row in rows if row.label
    ]  # fmt: skip
    return pa.Table.from_pylist(events, schema=EVENTS)


def _shards(workspace: Workspace, rows: list[_Row]) -> pa.Table:
    """The shards written, each with its hash, by which `check` finds later changes."""
    counts = Counter(row.shard for row in rows if row.shard is not None)
    return pa.table(
        {
            "shard": pa.array(list(counts), pa.string()),
            "sha256": pa.array([sha256_file(workspace.path / name) for name in counts], pa.string()),
            "stamps": pa.array(list(counts.values()), pa.int32()),
        }
    )


def _measured(rows: list[_Row], survey: str) -> pa.Table:
    """The table's measurements: names, magnitudes, radii and domains."""
    return pa.table(
        {
            "survey": pa.repeat(pa.scalar(survey), len(rows)),
            "object_id": pa.array([row.object_id for row in rows], pa.int64()),
            "name": pa.array([row.name for row in rows], pa.string()),
            **{name: pa.array([row.numbers[name] for row in rows], pa.float32()) for name in _NUMBERS},
            "domain": pa.array([row.domain for row in rows], pa.string()),
        }
    )


def _as_table(
    rows: list[_Row],
    survey: str,
    split: str | None,
    default_split: str | None,
    rendering: str,
    arcsec_per_pixel: float | None,
) -> pa.Table:
    pictures = [row.picture for row in rows if row.picture]
    measured = _measured(rows, survey)
    stated = [(row, row.cells.get("split") or split) for row in rows]
    cells = healpix_cell(
        [np.nan if row.ra is None else row.ra for row in rows], [np.nan if row.dec is None else row.dec for row in rows]
    )
    columns = {
        **{name: measured[name] for name in measured.column_names},
        "ra": pa.array([row.ra for row in rows], pa.float64()),
        "dec": pa.array([row.dec for row in rows], pa.float64()),
        "healpix": pa.array([None if cell < 0 else int(cell) for cell in cells], pa.int64()),
        "split": pa.array([said or default_split or ("train" if row.label else "pool") for row, said in stated]),
        "stated": pa.array([bool(said) for _, said in stated]),
        "shard": pa.array([row.shard for row in rows], pa.string()),
        "row": pa.array([row.shard_row for row in rows], pa.int32()),
        "file": pa.array([str(row.path) for row in rows]),
        "sha256": pa.array([picture.sha256 for picture in pictures]),
        "width_px": pa.array([picture.width for picture in pictures], pa.int32()),
        "height_px": pa.array([picture.height for picture in pictures], pa.int32()),
        "quality": pa.array([",".join(picture.flags) or "ok" for picture in pictures]),
        "reason": pa.array([picture.reason for picture in pictures], pa.string()),
    }
    constant = {
        "rendering": pa.scalar(rendering),
        "arcsec_per_pixel": pa.scalar(arcsec_per_pixel, pa.float32()),
    }
    return pa.table({**columns, **{name: pa.repeat(value, len(rows)) for name, value in constant.items()}})


def _report(rows: list[_Row], unchanged: int, table: CsvRows, without_position: int) -> IngestReport:
    flagged: Counter[str] = Counter()
    lines = []
    for row in rows:
        if row.picture and row.picture.flags:
            flagged.update(row.picture.flags)
            lines.append(f"{row.cells['file']}: {_why(row.picture, row.path)}")
    return IngestReport(
        len(rows) - len(lines), dict(flagged), unchanged, tuple(table.rejections), tuple(lines), table.unused,
        without_position,
    )  # fmt: skip


def _why(picture: Picture, file: Path) -> str:
    """Say what is wrong with a picture, without the file's name, which stands before it."""
    return picture.reason.removeprefix(f"{file.name}: ") if picture.reason else ", ".join(picture.flags)
