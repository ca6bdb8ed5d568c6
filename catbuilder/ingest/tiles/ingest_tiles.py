"""Tiles in: stamps of catalogued objects, cut on all cores and recorded shard by shard.

Each full shard is one transaction: an ingest of a survey takes hours, and one that was killed goes on from its last
shard by the same command, since an object that has a stamp is not cut again. The price is several recordings a
command. What the workers get is a strip of a tile with pixel positions; what they give back is pixels and flags.
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
from catbuilder.core.csv_table import Rejection
from catbuilder.core.errors import WorkerDied
from catbuilder.core.files import sha256_file
from catbuilder.core.machine import usable_cores
from catbuilder.core.processes import end_with_parent, ignore_interrupts
from catbuilder.core.resources import query
from catbuilder.core.stamps import require_stamp_size, write_shard
from catbuilder.ingest.tiles.cutouts import Strip, cut_strip_or_say_why, strips
from catbuilder.ingest.tiles.cutting_plan import Cutting, plan_cutting
from catbuilder.ingest.tiles.rendering import MISSING, SOFTENING, STRETCH, Rendered
from catbuilder.ingest.tiles.tile_folder import Tile, find_tiles

_SHARD_BYTES = 2**26  # 5,461 stamps of 64 px: what is in memory at once, and what a kill can lose
_AHEAD = 4  # strips a process

Progress = Callable[[int, int], None]  # (done, of)


@dataclass
class TileReport:
    """What an ingest of tiles did."""

    tiles: int  # usable ones
    added: int = 0  # objects with a good stamp
    replaced: int = 0  # added or flagged objects whose earlier stamp lacked pixels, and gave way
    flagged: Counter[str] = field(default_factory=Counter)  # cut too, but kept out of training and scoring, by flag
    flagged_objects: list[str] = field(default_factory=list)  # "object_id: flags or reason", one line each
    unchanged: int = 0  # objects on these tiles that had a stamp
    outside: int = 0  # objects without a stamp that lie on none of these tiles
    without_radius: int = 0  # cut with the default width
    whole_cubes: tuple[str, ...] = ()  # cubes that became one object each
    refused: tuple[Rejection, ...] = ()  # tiles and files
    rejections: tuple[Rejection, ...] = ()  # rows of the table of objects


def ingest_tiles(
    workspace: Workspace,
    folder: Path,
    *,
    survey: str,
    bands: str | None = None,
    size: str | None = None,
    objects: Path | None = None,
    progress: Progress | None = None,
) -> TileReport:
    """Cut colour stamps of a survey's objects out of the coadd tiles, or cubes of bands, of a folder.

    Objects are those of the catalogue that lie on a tile and have no stamp. A small cube (under 2,000 px) on which the
    catalogue has no object, and no table is given, becomes one object: its centre, named by the file.

    Parameters
    ----------
    folder : `..._g.fits` or `..._g.fits.fz`, one file a band; or cubes whose header names their bands
    bands : three of g, r, i, z; by default gri, and grz of a cube without i
    size : width of the box in radii of the object, or `paper` for the boxes of Khan et al. (2019); by default the
        workspace's setting for the survey
    objects : CSV with `object_id`, `ra`, `dec` and optionally `radius_arcsec`: these alone are cut, and those that the
        catalogue does not have are added to it

    Raises
    ------
    InputError
        The folder, the bands, the size or the table cannot be used at all. Single tiles and rows are refused and
        reported.
    """
    _check(workspace, survey)
    folder = Path(folder).resolve()  # so that `.` has a name, and what is recorded holds from any other folder
    tiles, refused = find_tiles(folder, survey, bands, workspace.config.limits)
    cutting = plan_cutting(workspace, tiles, survey, size, Path(objects) if objects else None)
    report = TileReport(
        len(tiles), unchanged=cutting.unchanged, outside=cutting.outside, without_radius=cutting.without_radius,
        whole_cubes=cutting.whole_cubes, refused=(*refused, *cutting.refused), rejections=cutting.rejections,
    )  # fmt: skip
    _cut_all(workspace, tiles, cutting, survey, report, progress)
    left_out = _not_yet_recorded(workspace, [*report.refused, *report.rejections])
    if left_out:
        with workspace.recording(f"ingest tiles {folder.name} --survey {survey}: refused") as recording:
            record_rejections(recording, left_out)
    return report


def _check(workspace: Workspace, survey: str) -> None:
    workspace.check_survey(survey)
    require_stamp_size(workspace.path, workspace.config.stamp_size)


def _not_yet_recorded(workspace: Workspace, rejections: list[Rejection]) -> list[Rejection]:
    with workspace.reading() as con:
        known = con.execute(
            query("ingest/tile_known_rejections"), {"files": [one.file for one in rejections]}
        ).fetchall()
    return [one for one in rejections if (one.file, one.row, one.object_id, one.reason) not in set(known)]


def _cut_all(
    workspace: Workspace,
    tiles: list[Tile],
    cutting: Cutting,
    survey: str,
    report: TileReport,
    progress: Progress | None,
) -> None:
    """Cut on every core, an object's best tile first; where pixels are missing, its next tiles."""
    shards = _Shards(workspace, tiles, cutting, survey, report)
    more = set(cutting.object_id[cutting.rank > 0].tolist())  # objects on several tiles
    lacking: dict[int, tuple[int, Rendered]] = {}  # the best stamps that lack pixels, while a better one may come
    settled: set[int] = set()
    done = 0
    for rank in range(int(cutting.rank.max(initial=-1)) + 1):
        rows = [row for row in np.flatnonzero(cutting.rank == rank) if int(cutting.object_id[row]) not in settled]
        of = done + len(rows)
        for row, stamp in _cut(tiles, cutting, np.array(rows, np.int64), workspace.config.stamp_size, report):
            object_id = int(cutting.object_id[row])
            if stamp is None:
                pass
            elif MISSING.intersection(stamp.flags) and (object_id in more or cutting.cut_from[row] is not None):
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
            report.unchanged += 1
    shards.write()


def _cut(
    tiles: list[Tile], cutting: Cutting, rows: np.ndarray, size: int, report: TileReport
) -> Iterator[tuple[int, Rendered | None]]:
    """Stamps of these rows of the plan; None where the file is damaged, which is reported."""
    work = list(_strips(cutting, rows))
    # Closed at once if recording fails: a generator left to the garbage collector would go on cutting.
    with closing(_on_cores([_strip(tiles[number], cutting, members, size) for number, members in work])) as results:
        for (number, members), result in zip(work, results, strict=True):
            if isinstance(result, str):
                reason = f"{len(members)} objects could not be cut out of it ({result}); fetch it again"
                report.refused += (Rejection(tiles[number].files, 0, "", reason),)
                yield from ((row, None) for row in members.tolist())
            else:
                yield from zip(members.tolist(), result, strict=True)


def _strips(cutting: Cutting, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Rows of the plan that are cut together, with the number of their tile."""
    for number in np.unique(cutting.tile[rows]):
        here = rows[cutting.tile[rows] == number]
        for members in strips(cutting.y[here], cutting.width[here]):
            yield int(number), here[members]


def _strip(tile: Tile, cutting: Cutting, rows: np.ndarray, size: int) -> Strip:
    x, y, width = (tuple(values[rows].tolist()) for values in (cutting.x, cutting.y, cutting.width))
    return Strip(tile.planes, tile.bands, tile.shape, x, y, width, size, tile.mirrored)


def _on_cores(work: list[Strip]) -> Generator[list[Rendered] | str]:
    """The strips' stamps in order; a few strips are not worth the second that processes take to start.

    Strips are handed out a few ahead: finished stamps would pile up while a shard is recorded.
    """
    processes = min(usable_cores(), len(work))
    if processes <= 1 or sum(len(strip.x) for strip in work) < 50:
        yield from map(cut_strip_or_say_why, work)
        return
    ahead: deque[Future[list[Rendered] | str]] = deque()
    # Spawned, not forked: a fork copies the locks of threads (DuckDB's) that it does not copy.
    with ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=end_with_parent, initargs=(os.getpid(),)
    ) as pool:
        try:
            for strip in work:
                with ignore_interrupts():
                    ahead.append(pool.submit(cut_strip_or_say_why, strip))
                if len(ahead) >= _AHEAD * processes:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        except BrokenProcessPool:
            raise WorkerDied(
                "a process that cuts stamps was killed, often for want of memory; give the same command again: "
                "what was recorded is not cut again"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class _Shards:
    """Collects stamps, and writes and records each full shard in one transaction."""

    def __init__(
        self, workspace: Workspace, tiles: list[Tile], cutting: Cutting, survey: str, report: TileReport
    ) -> None:
        self._workspace, self._tiles, self._cutting = workspace, tiles, cutting
        self._survey, self._report = survey, report
        self._batch: list[tuple[int, Rendered]] = []  # (row of the plan, its stamp)

    def add(self, row: int, stamp: Rendered) -> None:
        """Keep one."""
        self._batch.append((row, stamp))
        if len(self._batch) * stamp.pixels.nbytes >= _SHARD_BYTES:
            self.write()

    def write(self) -> None:
        """Write and record what has come together, and count it."""
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

    def _count(self, row: int, rendered: Rendered) -> None:
        cutting, report = self._cutting, self._report
        report.replaced += cutting.cut_from[row] is not None
        if rendered.flags:
            report.flagged.update(rendered.flags)
            name = cutting.name[row] or cutting.object_id[row]
            report.flagged_objects.append(f"{name}: {', '.join(rendered.flags)}" + _because(rendered))
        else:
            report.added += 1


def _reason(cutting: Cutting, row: int, stamp: Rendered) -> str | None:
    """What is recorded with a flag; tile_objects.sql reads the distance, which a tile that comes later must surpass."""
    edge = cutting.edge[row]
    return f"{stamp.reason}; {edge:.2f} arcsec inside its tile" if stamp.reason and edge > 0 else stamp.reason


def _because(rendered: Rendered) -> str:
    return f" ({rendered.reason})" if rendered.reason else ""


def _as_table(
    tiles: list[Tile], cutting: Cutting, survey: str, batch: list[tuple[int, Rendered]], shard: str
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
    """One name for stamps made alike."""
    return f"tiles/{survey}/{tile.bands} lupton Q={SOFTENING:g} stretch={STRETCH:g} nanomaggy/arcsec2 width={sized}"
