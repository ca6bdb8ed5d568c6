"""Cut stamps of catalogued objects from coadd tiles, on all cores, and record them shard by shard.

Each full shard is one transaction. An ingest of a survey takes hours; if it is killed, the same command continues from
the last shard, because an object that has a stamp is not cut again. The price is several recordings per command.
Worker processes receive a strip of a tile with pixel positions, and return pixels and flags.
"""

import hashlib
import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from catbuilder.catalogue.workspace import Workspace, record_rejections, replace_older
from catbuilder.core.errors import WorkerDied
from catbuilder.core.files import sha256_file
from catbuilder.core.machine import usable_cores
from catbuilder.core.paths import named_path
from catbuilder.core.processes import end_with_parent, ignore_interrupts
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.core.stamps import require_stamp_size, write_shard
from catbuilder.core.user_csv import Rejection, list_rejections, see_the_rest, unused_columns
from catbuilder.ingest.picture import FLAGGED_STAMPS, count_flags
from catbuilder.ingest.tiles.cutouts import Strip, cut_strip_or_explain, group_into_strips
from catbuilder.ingest.tiles.cutting_plan import CuttingPlan, plan_cutting
from catbuilder.ingest.tiles.rendering import MISSING_PIXEL_FLAGS, SOFTENING, STRETCH, RenderedStamp
from catbuilder.ingest.tiles.tile_file import Remark
from catbuilder.ingest.tiles.tile_folder import Tile, find_tiles

_SHARD_BYTES = 2**26  # 5,461 stamps of 64 px: the most in memory at once, and the most that a kill loses
_AHEAD = 4  # strips per process

Progress = Callable[[int, int], None]  # (done, of)


@dataclass(frozen=True)
class TileReport:
    """Counts of an ingest of tiles.

    Attributes
    ----------
    tiles : int
        Number of usable tiles.
    added : int
        Number of objects with a good stamp.
    replaced : int
        Number of added or flagged objects whose earlier stamp lacked pixels.
    flagged : dict[str, int]
        Number of stamps by quality flag; these are kept out of training and scoring.
    flagged_objects : tuple[str, ...]
        "object_id: flags or reason", a line for each flagged object.
    unchanged : int
        Number of objects on these tiles that had a stamp.
    outside : int
        Number of objects without a stamp that lie on none of these tiles.
    without_radius : int
        Number of objects cut with the default width.
    whole_cubes : tuple[str, ...]
        Cubes that became one object each.
    refused : tuple[Rejection, ...]
        Tiles and files that were left out.
    rejections : tuple[Rejection, ...]
        Rows of the table of objects that were left out.
    unused_columns : tuple[str, ...]
        Columns of the table of objects that are not used, some with a hint.
    remarks : tuple[str, ...]
        What tiles hold and the ingest does not use: extensions and files that are no known mask or weight.
    """

    tiles: int
    added: int
    replaced: int
    flagged: dict[str, int]
    flagged_objects: tuple[str, ...]
    unchanged: int
    outside: int
    without_radius: int
    whole_cubes: tuple[str, ...]
    refused: tuple[Rejection, ...]
    rejections: tuple[Rejection, ...]
    unused_columns: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def nothing_used(self) -> bool:
        """Whether no tile, or no row of the table of objects, could be used."""
        cut = self.added or self.flagged_objects or self.unchanged
        return not cut and bool(self.refused or self.rejections)

    def sentences(self) -> list[str]:
        """Summarise the ingest for a person, a line each."""
        cut = self.added + len(self.flagged_objects)
        lines = [
            f"{counted(cut, 'stamp')} cut from {counted(self.tiles, 'tile')}; "
            f"{counted(self.unchanged, 'object')} there had one already."
        ]
        lines += unused_columns(self.unused_columns)
        if not cut:
            lines.append("There is nothing to do.")
        if self.whole_cubes:
            names = ", ".join(self.whole_cubes[:10]) + (" ..." if len(self.whole_cubes) > 10 else "")
            cubes = counted(len(self.whole_cubes), "cube shows", "cubes show")
            lines.append(f"{cubes} no catalogued object; each became one object, named by its file: {names}.")
        if self.replaced:
            lines.append(f"Of them, {self.replaced:,} in place of a stamp that was masked or truncated.")
        if self.without_radius:
            objects = counted(self.without_radius, "object has", "objects have")
            lines.append(f"{objects} no radius in the catalogue and got the default width.")
        if self.outside:
            objects = counted(self.outside, "object without a stamp lies", "objects without a stamp lie")
            lines.append(f"{objects} on none of these tiles.")
        if self.flagged:
            n, flags = len(self.flagged_objects), count_flags(self.flagged)
            lines.append(
                f"{counted(n, 'stamp is', 'stamps are')} kept out of training and scoring for "
                f"{'its' if n == 1 else 'their'} quality ({flags}):"
            )
            lines += [f"  {line}" for line in self.flagged_objects[:20]]
        return lines

    def warnings(self) -> list[str]:
        """List remarks, refused tiles and rejected rows, and name the queries that show long lists in full."""
        lines = [*see_the_rest(len(self.flagged_objects), FLAGGED_STAMPS), *self.remarks[:20]]
        if len(self.remarks) > 20:
            lines.append(f"{len(self.remarks) - 20} more remarks of this kind are not shown.")
        if self.refused:
            lines.append(f"{len(self.refused)} tiles or files could not be used:")
            lines += [f"  {one.file}: {one.reason}" for one in self.refused[:20]]
            lines += see_the_rest(len(self.refused), "SELECT file, reason FROM rejections")
        return lines + list_rejections(self.rejections)


def ingest_tiles(
    workspace: Workspace,
    folder: str | Path,
    *,
    survey: str,
    bands: str | None = None,
    size: str | None = None,
    objects: str | Path | None = None,
    strict: bool = False,
    progress: Progress | None = None,
) -> TileReport:
    """Cut colour stamps of a survey's objects from the coadd tiles, or cubes of bands, of a folder.

    The objects are those of the catalogue that lie on a tile and have no stamp. A small cube (under 2,000 px) without a
    catalogued object becomes one object at its centre, named by the file, unless a table is given.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    folder : str or Path
        Folder of `..._g.fits` or `..._g.fits.fz`, one file per band; or of cubes whose header names their bands.
    survey : str
        Survey of the objects.
    bands : str, optional
        Three of g, r, i, z; by default `"gri"`, or `"grz"` for a cube without i.
    size : str, optional
        Width of the box in radii of the object, or `"paper"` for the boxes of Khan et al. (2019); by default the
        workspace's setting for the survey.
    objects : str or Path, optional
        CSV file with `object_id`, `ra`, `dec` (ICRS, degrees) and optionally `radius_arcsec`. Only these are cut, and
        those that the catalogue does not have are added to it.
    strict : bool
        Refuse the table of objects, and record nothing, if a row of it cannot be used; default False.
    progress : callable, optional
        Called with the numbers of stamps done and in all.

    Returns
    -------
    TileReport
        Numbers of stamps added, replaced, flagged and unchanged; refused tiles and rejected rows.

    Raises
    ------
    InputError
        The folder, the bands, the size or the table cannot be used. Single bad tiles and rows are refused and
        reported.

    Examples
    --------
    >>> catbuilder.ingest_tiles(workspace, "coadds/", survey="des", bands="gri").added
    """
    _check(workspace, survey)
    folder = named_path(
        folder, "the folder of tiles"
    ).resolve()  # so that `.` has a name, and the recorded paths hold from any folder
    tiles, refused = find_tiles(folder, survey, bands, workspace.config.limits)
    table = None if objects is None else named_path(objects, "the table of objects")
    cutting = plan_cutting(workspace, tiles, survey, size, table, strict)
    counts = _Counts(unchanged=cutting.unchanged, refused=[*refused, *cutting.refused])
    _cut_all(workspace, tiles, cutting, survey, counts, progress)
    report = TileReport(
        len(tiles), counts.added, counts.replaced, dict(counts.flagged), tuple(counts.flagged_objects),
        counts.unchanged, cutting.outside, cutting.without_radius, cutting.whole_cubes, tuple(counts.refused),
        cutting.rejections, cutting.unused_columns, _remarks(tiles),
    )  # fmt: skip
    left_out = _not_yet_recorded(workspace, [*report.refused, *report.rejections])
    if left_out:
        with workspace.recording(f"ingest tiles {folder.name} --survey {survey}: refused") as recording:
            record_rejections(recording, left_out)
    return report


@dataclass
class _Counts:
    """Counts of a `TileReport` that grow while stamps are cut."""

    unchanged: int
    refused: list[Rejection]
    added: int = 0
    replaced: int = 0
    flagged: Counter[str] = field(default_factory=Counter)
    flagged_objects: list[str] = field(default_factory=list)


def _check(workspace: Workspace, survey: str) -> None:
    workspace.check_survey(survey)
    require_stamp_size(workspace.path, workspace.config.stamp_size)


def _remarks(tiles: list[Tile]) -> tuple[str, ...]:
    """Say once, with the names of the tiles, what they hold and nobody uses."""
    of: dict[Remark, list[str]] = {}
    for tile in tiles:
        for remark in tile.remarks:
            of.setdefault(remark, []).append(tile.name)
    return tuple(
        f"{remark.what[0].upper()}{remark.what[1:]} of {'tile' if len(names) == 1 else 'tiles'} {', '.join(names[:10])}"
        f"{f' and {len(names) - 10} more' if len(names) > 10 else ''} {remark.reason}."
        for remark, names in of.items()
    )


def _not_yet_recorded(workspace: Workspace, rejections: list[Rejection]) -> list[Rejection]:
    if not rejections:
        return []
    with workspace.reading() as con:
        known = con.execute(
            query("ingest/earlier_tile_rejections"), {"files": [one.file for one in rejections]}
        ).fetchall()
    return [one for one in rejections if (one.file, one.row, one.object_id, one.reason) not in set(known)]


def _cut_all(
    workspace: Workspace,
    tiles: list[Tile],
    cutting: CuttingPlan,
    survey: str,
    counts: _Counts,
    progress: Progress | None,
) -> None:
    """Cut on every core: an object's best tile first, and its next tiles if pixels are missing there."""
    shards = _Shards(workspace, tiles, cutting, survey, counts)
    more = set(cutting.object_id[cutting.rank > 0].tolist())  # objects on several tiles
    lacking: dict[int, tuple[int, RenderedStamp]] = {}  # the best stamps so far that lack pixels
    settled: set[int] = set()
    done = 0
    for rank in range(int(cutting.rank.max(initial=-1)) + 1):
        rows = [row for row in np.flatnonzero(cutting.rank == rank) if int(cutting.object_id[row]) not in settled]
        of = done + len(rows)
        for row, stamp in _cut(tiles, cutting, np.array(rows, np.int64), workspace.config.stamp_size, counts):
            object_id = int(cutting.object_id[row])
            if stamp is None:
                pass
            elif MISSING_PIXEL_FLAGS.intersection(stamp.flags) and (
                object_id in more or cutting.cut_from[row] is not None
            ):
                lacking.setdefault(object_id, (row, stamp))
            else:
                lacking.pop(object_id, None)
                if object_id in more:
                    settled.add(object_id)
                shards.add(row, stamp)
            done += 1
            if progress:
                progress(done, of)
    for row, stamp in lacking.values():
        if cutting.improves(row, tiles[cutting.tile[row]].files):
            shards.add(row, stamp)
        else:
            counts.unchanged += 1
    shards.write()


def _cut(
    tiles: list[Tile], cutting: CuttingPlan, rows: np.ndarray, size: int, counts: _Counts
) -> Iterator[tuple[int, RenderedStamp | None]]:
    """Stamps of these rows of the plan; None if the file is damaged, which is reported."""
    work = list(_strips(cutting, rows))
    # Closed at once if recording fails: a generator left to the garbage collector would continue to cut.
    with closing(_on_cores([_strip(tiles[number], cutting, members, size) for number, members in work])) as results:
        for (number, members), result in zip(work, results, strict=True):
            if isinstance(result, str):
                reason = f"{len(members)} objects could not be cut from it ({result}); fetch it again"
                counts.refused.append(Rejection(tiles[number].files, 0, "", reason))
                yield from ((row, None) for row in members.tolist())
            else:
                yield from zip(members.tolist(), result, strict=True)


def _strips(cutting: CuttingPlan, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Rows of the plan that are cut together, with the number of their tile."""
    for number in np.unique(cutting.tile[rows]):
        here = rows[cutting.tile[rows] == number]
        for members in group_into_strips(cutting.y[here], cutting.width[here]):
            yield int(number), here[members]


def _strip(tile: Tile, cutting: CuttingPlan, rows: np.ndarray, size: int) -> Strip:
    x, y, width = (tuple(values[rows].tolist()) for values in (cutting.x, cutting.y, cutting.width))
    return Strip(tile.planes, tile.bands, tile.shape, x, y, width, size, tile.mirrored)


def _on_cores(work: list[Strip]) -> Generator[list[RenderedStamp] | str]:
    """The strips' stamps in order; a small number is cut in this process, since starting others takes a second.

    Only a few strips are handed out ahead, so that finished stamps do not pile up while a shard is recorded.
    """
    processes = min(usable_cores(), len(work))
    if processes <= 1 or sum(len(strip.x) for strip in work) < 50:
        yield from map(cut_strip_or_explain, work)
        return
    ahead: deque[Future[list[RenderedStamp] | str]] = deque()
    # Spawned, not forked: a fork copies the locks of DuckDB's threads but not the threads.
    with ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=end_with_parent, initargs=(os.getpid(),)
    ) as pool:
        try:
            for strip in work:
                with ignore_interrupts():
                    ahead.append(pool.submit(cut_strip_or_explain, strip))
                if len(ahead) >= _AHEAD * processes:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        except BrokenProcessPool:
            raise WorkerDied(
                "a process that cuts stamps was killed, often because memory ran out; give the same command again: "
                "it continues after the recorded stamps"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class _Shards:
    """Collects stamps, and writes and records each full shard in one transaction."""

    def __init__(
        self, workspace: Workspace, tiles: list[Tile], cutting: CuttingPlan, survey: str, counts: _Counts
    ) -> None:
        self._workspace, self._tiles, self._cutting = workspace, tiles, cutting
        self._survey, self._counts = survey, counts
        self._batch: list[tuple[int, RenderedStamp]] = []  # (row of the plan, its stamp)

    def add(self, row: int, stamp: RenderedStamp) -> None:
        """Add a stamp, and write the shard if it is full."""
        self._batch.append((row, stamp))
        if len(self._batch) * stamp.pixels.nbytes >= _SHARD_BYTES:
            self.write()

    def write(self) -> None:
        """Write, record and count the collected stamps."""
        if not self._batch:
            return
        workspace, survey, batch = self._workspace, self._survey, self._batch
        shard = write_shard(workspace.path, survey, np.stack([stamp.pixels for _, stamp in batch]))
        incoming = _as_table(self._tiles, self._cutting, survey, batch, shard)
        file = {"shard": shard, "sha256": sha256_file(workspace.path / shard), "stamps": len(batch)}
        with workspace.recording(f"ingest tiles --survey {survey}: {len(batch)} stamps") as recording:
            con, stamp = recording.con, {"round": recording.round, "run": recording.run}
            con.register("incoming", incoming)
            for name in ("ingest/record_stamps", "ingest/record_splits"):
                con.execute(query(name), stamp)
            for table in ("stamps", "splits"):
                replace_older(recording, table)
            con.register("incoming_shards", pa.Table.from_pylist([file]))
            con.execute("INSERT INTO shards BY NAME SELECT *, $round AS round, $run AS run FROM incoming_shards", stamp)
        for row, rendered in batch:
            self._count(row, rendered)
        self._batch = []

    def _count(self, row: int, rendered: RenderedStamp) -> None:
        cutting, counts = self._cutting, self._counts
        counts.replaced += cutting.cut_from[row] is not None
        if rendered.flags:
            counts.flagged.update(rendered.flags)
            name = cutting.name[row] or cutting.object_id[row]
            counts.flagged_objects.append(f"{name}: {', '.join(rendered.flags)}" + _because(rendered))
        else:
            counts.added += 1


def _reason(cutting: CuttingPlan, row: int, stamp: RenderedStamp) -> str | None:
    """The reason of a flag, with the distance from the edge, which objects_near_tiles.sql reads for later tiles."""
    edge = cutting.edge[row]
    return f"{stamp.reason}; {edge:.2f} arcsec inside its tile" if stamp.reason and edge > 0 else stamp.reason


def _because(rendered: RenderedStamp) -> str:
    return f" ({rendered.reason})" if rendered.reason else ""


def _as_table(
    tiles: list[Tile], cutting: CuttingPlan, survey: str, batch: list[tuple[int, RenderedStamp]], shard: str
) -> pa.Table:
    rows = np.array([row for row, _ in batch])
    stamps = [stamp for _, stamp in batch]
    numbers = cutting.tile[rows]
    sides = pa.array(np.rint(cutting.width[rows]).astype(np.int32))
    return pa.table(
        {
            "survey": pa.repeat(pa.scalar(survey), len(rows)),
            "object_id": pa.array(cutting.object_id[rows], pa.int64()),
            "shard": pa.repeat(pa.scalar(shard), len(rows)),
            "row": pa.array(range(len(rows)), pa.int32()),
            "file": pa.array([tiles[n].files for n in numbers]),
            # of the stamp's own bytes: the tile holds thousands, and is too large to read for it
            "sha256": pa.array([hashlib.sha256(stamp.pixels.tobytes()).hexdigest() for stamp in stamps]),
            "rendering": pa.array(
                [_rendering(tiles[n], survey, cutting.sized[row]) for n, row in zip(numbers, rows, strict=True)]
            ),
            "arcsec_per_pixel": pa.array([tiles[n].arcsec_per_pixel for n in numbers], pa.float32()),
            "width_px": sides,
            "height_px": sides,
            "quality": pa.array([",".join(stamp.flags) or "ok" for stamp in stamps]),
            "reason": pa.array([_reason(cutting, row, stamp) for row, stamp in batch], pa.string()),
            "split": pa.repeat(pa.scalar("pool"), len(rows)),
            "stated": pa.repeat(pa.scalar(False), len(rows)),
        }
    )


def _rendering(tile: Tile, survey: str, sized: str) -> str:
    """The name of the rendering: the same for stamps made in the same way."""
    return f"tiles/{survey}/{tile.bands} lupton Q={SOFTENING:g} stretch={STRETCH:g} nanomaggy/arcsec2 width={sized}"
