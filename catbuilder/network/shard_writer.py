"""What a scoring process writes: parts of a shard as it goes, and at its end the shard made of them.

A thread of its own fetches the scores from the device and writes them, so that the network never waits for a disk. A
part is whole or not there, like every file, and ends where a batch ends; a process that is started again finds the
parts and goes on after the last, and its shard is that of an undisturbed run to the last bit.
"""

import json
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catbuilder.core.errors import WeightsError
from catbuilder.core.fault_points import fault_point
from catbuilder.core.files import atomic_write, sha256_file, write_text
from catbuilder.network.batches import Positions
from catbuilder.network.jobs import ScoreJob, hashes_file, parts_folder, shard_files
from catbuilder.network.scorer import Begun, Ensemble, Floats, Scores

_PENDING = 2  # batches that may wait for the writer: enough to keep a device busy, little enough to hold in memory


class ShardWriter:
    """Takes a shard's batches in order and leaves `scores-`, `features-<number>.parquet` and `hashes-<number>.json`.

    Parameters
    ----------
    rows : the shard's part of the manifest, with survey, object_id and keep_features
    """

    def __init__(self, job: ScoreJob, number: int, rows: pa.Table, scorer: Ensemble) -> None:
        self._job, self._number, self._scorer = job, number, scorer
        self._identity = rows.select(["survey", "object_id"])
        self._keep = rows["keep_features"].to_numpy()
        self._parts = _whole_parts(job.folder, number)
        self._batches: list[tuple[Positions, Scores]] = []
        self._last_part = time.monotonic()
        self._thread = ThreadPoolExecutor(1)
        self._pending: deque[Future[None]] = deque()

    @property
    def rows_done(self) -> int:
        """Rows that whole parts hold, those of an earlier process included."""
        return _end_of(self._parts[-1]) if self._parts else 0

    def add(self, batch: Positions, begun: Sequence[Begun]) -> None:
        """Take what was begun for these rows of the shard; waits only where the writer is far behind."""
        self._pending.append(self._thread.submit(self._take, batch, begun))
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

    def _take(self, batch: Positions, begun: Sequence[Begun]) -> None:
        scores = self._scorer.finish(begun)
        if not np.isfinite(scores.posteriors).all():
            job = self._job
            which = f"{job.model} or another network of its ensemble" if job.others else str(job.model)
            raise WeightsError(f"{which} gives scores that are not numbers; train again with a lower learning rate")
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
        # features first: a part counts once its scores are there
        if (keep := self._keep[rows]).any():
            kept = np.concatenate([each.features for each in scores])[keep]
            _write(_beside(place), _with_features(identity.filter(pa.array(keep)), kept))
        _write(place, _with_posteriors(identity, scores, self._job.classes))
        self._parts.append(place)
        self._batches, self._last_part = [], time.monotonic()
        fault_point("score.after_part")

    def _assemble(self) -> None:
        """Make the shard of its parts, its hashes last, and drop them."""
        features = [file for part in self._parts if (file := _beside(part)).exists()]
        files = shard_files(self._job.folder, self._number)
        if features:
            _write(files["features"], pa.concat_tables(map(pq.read_table, features)))
        _write(files["scores"], pa.concat_tables(map(pq.read_table, self._parts)))
        # a shard counts as done once its hashes are there
        hashes = {kind: sha256_file(file) for kind, file in files.items() if file.exists()}
        write_text(hashes_file(self._job.folder, self._number), json.dumps(hashes))
        for file in [*self._parts, *features]:
            file.unlink()


def _part_file(folder: Path, number: int, first: int, end: int) -> Path:
    return parts_folder(folder) / f"scores-{number:05d}-{first:08d}-{end:08d}.parquet"


def _beside(part: Path) -> Path:
    """The features of a part."""
    return part.with_name(part.name.replace("scores-", "features-"))


def _end_of(part: Path) -> int:
    return int(part.stem.rpartition("-")[2])


def _whole_parts(folder: Path, number: int) -> list[Path]:
    """Parts of a shard that follow each other from its first row on."""
    parts: list[Path] = []
    for part in sorted(parts_folder(folder).glob(f"scores-{number:05d}-*.parquet")):
        if int(part.stem.split("-")[2]) == (_end_of(parts[-1]) if parts else 0):
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
