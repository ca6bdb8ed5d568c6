"""Cut the stamps of one batch of tiles on all cores, and record them.

What one process cuts and stores is a share: up to 1,024 objects that follow each other on the tiles, which become one
shard. How a batch is divided depends on its objects alone, so that the shards are the same on any number of cores. An
object on several tiles is cut from its best one, and from the next where pixels are missing there.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pyarrow as pa

from catbuilder.catalogue.workspace import Workspace, replace_older
from catbuilder.core.files import sha256_file
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.core.stamps import write_shard
from catbuilder.core.tasks import Task, map_tasks
from catbuilder.core.user_csv import Rejection
from catbuilder.ingest.tiles.cutouts import Share, StoredStamp, Strip, cut_share, group_into_strips
from catbuilder.ingest.tiles.cutting_plan import CuttingPlan
from catbuilder.ingest.tiles.rendering import SOFTENING, STRETCH
from catbuilder.ingest.tiles.tile_folder import Tile

_MOST_STAMPS = 1024  # of a share: a second or three of work, 12 MB at 64 px
_MOST_BYTES = 2**26  # of a shard
_LEAST_STAMPS = 64  # unless there are fewer in all
_SHARES = 8  # at least, so that a single tile is work for several cores
_FEW = 50  # objects that are cut in this process, since starting others takes a second
_RECORDED = 2**16  # stamps: the most that a kill loses, a minute of work


@dataclass
class Counts:
    """What was cut so far, from all batches."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    flagged: dict[int, tuple[tuple[str, ...], str]] = field(default_factory=dict)  # flags and a line, by object
    refused: list[Rejection] = field(default_factory=list)

    def flags(self) -> dict[str, int]:
        """Count the flagged stamps by flag."""
        return dict(Counter(flag for flags, _ in self.flagged.values() for flag in flags))


class BatchCutter:
    """Cuts and records the stamps of one batch.

    Parameters
    ----------
    counts : are added to
    tell : called with each number of objects done
    """

    def __init__(
        self, workspace: Workspace, tiles: list[Tile], cutting: CuttingPlan, survey: str, counts: Counts,
        tell: Callable[[int], None],
    ) -> None:  # fmt: skip
        self._workspace, self._tiles, self._cutting, self._survey = workspace, tiles, cutting, survey
        self._counts, self._tell = counts, tell
        self._waiting: list[tuple[int, str, StoredStamp]] = []  # (row of the plan, shard, stamp)
        self._shards: dict[str, tuple[str, int]] = {}  # SHA-256 and number of stamps
        self._damaged: Counter[tuple[int, str]] = Counter()  # objects that were not cut, by tile and reason

    def cut(self) -> set[int]:
        """Cut and record all; give the numbers of tiles that turned out to be damaged."""
        cutting = self._cutting
        more = np.isin(cutting.object_id, cutting.object_id[cutting.rank > 0])  # on several tiles
        held = more | np.array([cut_from is not None for cut_from in cutting.cut_from], bool)
        lacking: dict[int, tuple[int, StoredStamp]] = {}  # the best stamps so far that lack pixels
        settled: set[int] = set()
        for rank in range(int(cutting.rank.max(initial=-1)) + 1):
            rows = np.flatnonzero(cutting.rank == rank)
            rows = rows[~np.isin(cutting.object_id[rows], list(settled))]
            for row, shard, stamp in self._cut(rows, held):
                object_id = int(cutting.object_id[row])
                if stamp.row is None:
                    lacking.setdefault(object_id, (row, stamp))
                    continue
                lacking.pop(object_id, None)
                if more[row]:
                    settled.add(object_id)
                self._waiting.append((row, shard, stamp))
        self._keep_best(lacking)
        self._record()
        for (number, reason), objects in self._damaged.items():
            why = f"{counted(objects, 'object')} could not be cut from it ({reason}); fetch it again"
            self._counts.refused.append(Rejection(self._tiles[number].files, 0, "", why))
        return {number for number, _ in self._damaged}

    def _cut(self, rows: np.ndarray, held: np.ndarray) -> Iterator[tuple[int, str, StoredStamp]]:
        """Stamps of these rows of the plan, with their shard; those of damaged files are counted."""
        divided = list(self._shares(rows))
        shares = [self._share([part for _, part in strips], held) for strips in divided]
        # Closed at once if recording fails: a generator left to the garbage collector would continue to cut.
        cutting = Task(cut_share, "cuts stamps", Share.files, self._workspace.path)
        with closing(map_tasks(cutting, shares, 1 if len(rows) < _FEW else None)) as results:
            for strips, result in zip(divided, results, strict=True):
                if result.shard:
                    self._shards[result.shard] = result.sha256, result.stamps
                for (number, part), stamps in zip(strips, result.strips, strict=True):
                    if isinstance(stamps, str):
                        self._damaged[number, stamps] += len(part)
                    else:
                        yield from ((row, result.shard, one) for row, one in zip(part.tolist(), stamps, strict=True))
                self._tell(sum(len(part) for _, part in strips))
                if len(self._waiting) >= _RECORDED:
                    self._record()

    def _shares(self, rows: np.ndarray) -> Iterator[list[tuple[int, np.ndarray]]]:
        """Divide rows into shares: a list of strips each, with the number of their tile."""
        cutting, stamp_bytes = self._cutting, 3 * self._workspace.config.stamp_size**2
        size = min(max(_LEAST_STAMPS, -(-len(rows) // _SHARES)), _MOST_STAMPS, max(_MOST_BYTES // stamp_bytes, 1))
        ordered = iter(rows[np.lexsort((cutting.y[rows], cutting.tile[rows]))].tolist())
        while part := list(islice(ordered, size)):
            here = np.array(part, np.int64)
            strips = []
            for number in np.unique(cutting.tile[here]).tolist():
                on_tile = here[cutting.tile[here] == number]
                of = group_into_strips(cutting.y[on_tile], cutting.width[on_tile])
                strips += [(number, on_tile[members]) for members in of]
            yield strips

    def _share(self, strips: list[np.ndarray], held: np.ndarray) -> Share:
        cut = tuple(self._strip(rows) for rows in strips)
        return Share(cut, tuple(tuple(held[rows].tolist()) for rows in strips), self._workspace.path, self._survey)

    def _strip(self, rows: np.ndarray) -> Strip:
        cutting = self._cutting
        tile = self._tiles[cutting.tile[rows[0]]]
        x, y, width = (tuple(values[rows].tolist()) for values in (cutting.x, cutting.y, cutting.width))
        size, places = self._workspace.config.stamp_size, tile.places(x, y)
        return Strip(tile.planes, tile.bands, tile.shape, x, y, width, size, tile.mirrored, places)

    def _keep_best(self, lacking: dict[int, tuple[int, StoredStamp]]) -> None:
        """Store the stamps that lack pixels everywhere, unless an earlier one is as good."""
        cutting = self._cutting
        kept = []
        for row, stamp in lacking.values():
            if cutting.improves(row, self._tiles[cutting.tile[row]].files):
                kept.append((row, stamp))
            elif cutting.cut_before[row]:
                self._counts.unchanged += 1
        if not kept:
            return
        pixels = np.stack([stamp.pixels for _, stamp in kept if stamp.pixels is not None])
        shard = write_shard(self._workspace.path, self._survey, pixels)
        self._shards[shard] = sha256_file(self._workspace.path / shard), len(kept)
        self._waiting += [
            (row, shard, StoredStamp(stamp.flags, stamp.reason, stamp.sha256, place))
            for place, (row, stamp) in enumerate(kept)
        ]

    def _record(self) -> None:
        """Record what was cut in one transaction, and count it."""
        if not self._waiting:
            return
        waiting, shards = self._waiting, self._shards
        files = [{"shard": name, "sha256": sha256, "stamps": n} for name, (sha256, n) in shards.items()]
        with self._workspace.recording(f"ingest tiles --survey {self._survey}: {len(waiting)} stamps") as recording:
            con, stamp = recording.con, {"round": recording.round, "run": recording.run}
            con.register("incoming", _as_table(self._tiles, self._cutting, self._survey, waiting))
            for name in ("ingest/record_stamps", "ingest/record_splits"):
                con.execute(query(name), stamp)
            for table in ("stamps", "splits"):
                replace_older(recording, table)
            con.register("incoming_shards", pa.Table.from_pylist(files))
            con.execute("INSERT INTO shards BY NAME SELECT *, $round AS round, $run AS run FROM incoming_shards", stamp)
        for row, _, stored in waiting:
            self._count(row, stored)
        self._waiting, self._shards = [], {}

    def _count(self, row: int, stored: StoredStamp) -> None:
        cutting, counts = self._cutting, self._counts
        object_id = int(cutting.object_id[row])
        counts.flagged.pop(object_id, None)  # by another tile of this call
        counts.replaced += cutting.cut_from[row] is not None and bool(cutting.cut_before[row])
        if stored.flags:
            because = f" ({stored.reason})" if stored.reason else ""
            line = f"{cutting.name[row] or object_id}: {', '.join(stored.flags)}{because}"
            counts.flagged[object_id] = stored.flags, line
        else:
            counts.added += 1


def _reason(cutting: CuttingPlan, row: int, stamp: StoredStamp) -> str | None:
    """The reason of a flag, with the distance from the edge, which objects_near_tiles.sql reads for later tiles."""
    edge = cutting.edge[row]
    return f"{stamp.reason}; {edge:.2f} arcsec inside its tile" if stamp.reason and edge > 0 else stamp.reason


def _as_table(
    tiles: list[Tile], cutting: CuttingPlan, survey: str, cut: list[tuple[int, str, StoredStamp]]
) -> pa.Table:
    rows = np.array([row for row, _, _ in cut])
    numbers = cutting.tile[rows]
    sides = pa.array(np.rint(cutting.width[rows]).astype(np.int32))
    files = {number: tiles[number].files for number in np.unique(numbers).tolist()}
    return pa.table(
        {
            "survey": pa.repeat(pa.scalar(survey), len(rows)),
            "object_id": pa.array(cutting.object_id[rows], pa.int64()),
            "shard": pa.array([shard for _, shard, _ in cut]),
            "row": pa.array([stamp.row for _, _, stamp in cut], pa.int32()),
            "file": pa.array([files[number] for number in numbers.tolist()]),
            # of the stamp's own bytes: the tile holds thousands, and is too large to read for it
            "sha256": pa.array([stamp.sha256 for _, _, stamp in cut]),
            "rendering": pa.array(
                [_rendering(tiles[n], survey, cutting.sized[row]) for n, row in zip(numbers, rows, strict=True)]
            ),
            "arcsec_per_pixel": pa.array([tiles[n].arcsec_per_pixel for n in numbers], pa.float32()),
            "width_px": sides,
            "height_px": sides,
            "quality": pa.array([",".join(stamp.flags) or "ok" for _, _, stamp in cut]),
            "reason": pa.array([_reason(cutting, row, stamp) for row, _, stamp in cut], pa.string()),
            "split": pa.repeat(pa.scalar("pool"), len(rows)),
            "stated": pa.repeat(pa.scalar(False), len(rows)),
        }
    )


def _rendering(tile: Tile, survey: str, sized: str) -> str:
    """The name of the rendering: the same for stamps made in the same way."""
    return f"tiles/{survey}/{tile.bands} lupton Q={SOFTENING:g} stretch={STRETCH:g} nanomaggy/arcsec2 width={sized}"
