"""Write the scores of a shard: parts while scoring goes on, and the whole shard made of them at the end.

A separate thread fetches the scores from the device and writes them, so that the network never waits for the disk. A
part ends at the end of a batch and is written atomically. A restarted process resumes after the last part, and its
shard is identical, bit for bit, to that of an uninterrupted run.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catbuilder.core.errors import WeightsError
from catbuilder.core.files import atomic_write, sha256_file, write_text
from catbuilder.core.kill_points import fault_point
from catbuilder.network.batches import Positions
from catbuilder.network.jobs import ScoreJob, hashes_file, parts_folder, shard_files
from catbuilder.network.scorer import Floats, Scores

_PENDING = 2  # batches that may wait for the writer: enough to keep a device busy, few enough for memory


class ShardWriter:
    """Writes a shard's batches, in order, to `scores-<number>`, `features-<number>.parquet` and `hashes-<number>.json`.

    Parameters
    ----------
    rows : the shard's part of the manifest, with survey, object_id and keep_features
    """

    def __init__(self, job: ScoreJob, number: int, rows: pa.Table) -> None:
        self._job, self._number = job, number
        self._identity = rows.select(["survey", "object_id"])
        self._keep = rows["keep_features"].to_numpy()
        self._parts = _finished_parts(job, number)
        self._batches: list[tuple[Positions, Scores]] = []
        self._last_part = time.monotonic()
        self._thread = ThreadPoolExecutor(1)
        self._pending: deque[Future[None]] = deque()

    @property
    def rows_done(self) -> int:
        """Number of rows in finished parts, including those of an earlier process."""
        return _end_row(self._parts[-1]) if self._parts else 0

    def add(self, batch: Positions, finish: Callable[[], Scores]) -> None:
        """Queue the scores of these rows of the shard, which `finish` waits for; wait only if far behind."""
        self._pending.append(self._thread.submit(self._take, batch, finish))
        while len(self._pending) > _PENDING:
            self._pending.popleft().result()

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for future in self._pending:
                future.result()
        finally:
            self._thread.shutdown()
        if kind is None:
            self._write_part()
            self._assemble()

    def _take(self, batch: Positions, finish: Callable[[], Scores]) -> None:
        scores = finish()
        if not np.isfinite(scores.posteriors).all():
            job = self._job
            which = f"{job.model} or another network of its ensemble" if job.others or job.earlier else str(job.model)
            raise WeightsError(
                f"{which} gives scores that are not finite; train again with a lower training.learning_rate"
            )
        self._batches.append((batch, scores))
        if time.monotonic() - self._last_part >= self._job.part_s:
            self._write_part()

    def _write_part(self) -> None:
        if not self._batches:
            return
        rows = np.concatenate([batch for batch, _ in self._batches])
        scores = [each for _, each in self._batches]
        identity = self._identity.slice(int(rows[0]), len(rows))
        place = _part_file(self._job.folder, self._number, int(rows[0]), int(rows[-1]) + 1)
        # features and own posteriors first: a part is complete once its scores exist
        if (keep := self._keep[rows]).any():
            kept = np.concatenate([each.features for each in scores])[keep]
            _write(_features_file(place), _with_features(identity.filter(pa.array(keep)), kept))
        if own := [each.own for each in scores if each.own is not None]:
            _write(_own_file(place), _with_posteriors(identity, own, self._job.classes))
        _write(place, _with_posteriors(identity, scores, self._job.classes))
        self._parts.append(place)
        self._batches, self._last_part = [], time.monotonic()
        fault_point("score.after_part")

    def _assemble(self) -> None:
        """Join the parts to the shard, write its hashes last, and delete the parts."""
        parts = {
            "features": [file for part in self._parts if (file := _features_file(part)).exists()],
            "own": list(map(_own_file, self._parts)) if self._job.earlier else [],
            "scores": self._parts,
        }
        files = shard_files(self._job.folder, self._number)
        for kind, found in parts.items():
            if found:
                _write(files[kind], pa.concat_tables(map(pq.read_table, found)))
        # a shard is complete once its hashes exist
        hashes = {kind: sha256_file(file) for kind, file in files.items() if file.exists()}
        write_text(hashes_file(self._job.folder, self._number), json.dumps(hashes))
        for file in [file for found in parts.values() for file in found]:
            file.unlink()


def _part_file(folder: Path, number: int, first: int, end: int) -> Path:
    return parts_folder(folder) / f"scores-{number:05d}-{first:08d}-{end:08d}.parquet"


def _features_file(part: Path) -> Path:
    """Give the file with the features of a part."""
    return part.with_name(part.name.replace("scores-", "features-"))


def _own_file(part: Path) -> Path:
    """Give the file with the own networks' posteriors of a part."""
    return part.with_name(part.name.replace("scores-", "own-"))


def _end_row(part: Path) -> int:
    return int(part.stem.rpartition("-")[2])


def _finished_parts(job: ScoreJob, number: int) -> list[Path]:
    """List the finished parts of a shard that follow each other from its first row."""
    parts: list[Path] = []
    for part in sorted(parts_folder(job.folder).glob(f"scores-{number:05d}-*.parquet")):
        if job.earlier and not _own_file(part).exists():  # written before means kept their own networks' posteriors
            break
        if int(part.stem.split("-")[2]) == (_end_row(parts[-1]) if parts else 0):
            parts.append(part)
    return parts


def _with_posteriors(identity: pa.Table, scores: Sequence[Scores], classes: Sequence[str]) -> pa.Table:
    posteriors = np.concatenate([each.posteriors for each in scores]).astype(np.float32)
    for index, name in enumerate(classes):
        identity = identity.append_column(f"p_{name}", pa.array(posteriors[:, index]))
    information = [each.mutual_information for each in scores if each.mutual_information is not None]
    if information:
        column = pa.array(np.concatenate(information).astype(np.float32))
        identity = identity.append_column("mutual_information", column)
    return identity


def _with_features(identity: pa.Table, features: Floats) -> pa.Table:
    flat = pa.array(features.reshape(-1))
    return identity.append_column("features", pa.FixedSizeListArray.from_arrays(flat, features.shape[1]))


def _write(path: Path, table: pa.Table) -> None:
    with atomic_write(path) as temporary:
        pq.write_table(table.combine_chunks(), temporary, compression="zstd")
