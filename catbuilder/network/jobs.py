"""Describe the jobs of worker processes: one JSON file for each job, validated when it is read.

Workers never open the catalogue. They read this file, the manifest it names and the memory-mapped stamps, and write
into the folder of their attempt. The coordinator checks these files and records them.

The manifest of a training job is a Parquet file with the columns `survey`, `object_id`, `shard` (path of the
stamp shard below the workspace), `row` (in that shard), `role` ('training', 'teaching' or 'validation') and `label`
(index into the classes). If images without a label teach, it has `weight` (in the loss) and `posterior` (of a soft
target, else NULL) too. That of a scoring job has `survey`, `object_id`, `shard`, `row` and
`keep_features` (boolean).
"""

from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from catbuilder.core.recipe import Recipe


class _Job(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    workspace: Path
    manifest: Path
    folder: Path  # of this attempt; everything the worker writes goes here
    recipe: Recipe
    classes: tuple[str, ...]
    seed: int
    round: int
    threads: int  # of this process
    coordinator: int  # process id; the worker ends with it

    def write(self, path: Path) -> Path:
        """Write the job to a file for its workers."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=1), encoding="utf-8")
        return path

    def below(self, root: Path) -> Self:
        """Describe the same job in a copy of the workspace."""

        def moved(value: object) -> object:
            if isinstance(value, tuple):
                return tuple(map(moved, value))
            if isinstance(value, EarlierRound | EarlierScoring):
                return value.model_copy(update={name: moved(part) for name, part in value})
            return root / value.relative_to(self.workspace) if isinstance(value, Path) else value

        return self.model_copy(update={name: moved(value) for name, value in self})


class TrainJob(_Job):
    """Train on the manifest; write `checkpoint-<epoch>.safetensors`, `train.jsonl` and `model.safetensors`."""

    # labelled images fill the share of each batch that so many pool images would have: the control of an experiment
    in_place_of: int = 0
    resume_from: Path | None = None  # the last undamaged checkpoint of an earlier attempt

    def files(self) -> list[Path]:
        """List what the worker reads in the workspace."""
        shards = (
            pq.read_table(self.manifest, columns=["shard"], read_dictionary=["shard"])["shard"].unique().to_pylist()
        )
        checkpoint = [] if self.resume_from is None else [self.resume_from]
        return [self.manifest, *checkpoint, *(self.workspace / shard for shard in shards)]


class EarlierScoring(BaseModel):
    """What an earlier round has scored at one time: its manifest, and the posteriors of its own networks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    manifest: Path
    shards: tuple[Path, ...]


class EarlierRound(BaseModel):
    """A round whose networks belong to the mean that is to be scored, and what it has scored already."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[Path, ...]  # safetensors
    scorings: tuple[EarlierScoring, ...] = ()


class ScoreJob(_Job):
    """Score the manifest's rows; write `scores-<shard>`, `features-<shard>.parquet` and `hashes-<shard>.json`.

    If the model is a mean with earlier rounds, `own-<shard>.parquet` has the posteriors of the round's own networks.
    Unfinished shards are kept in `parts`; a new attempt resumes from them.
    """

    model: Path  # safetensors; for an ensemble its member 0, whose features are kept
    others: tuple[Path, ...] = ()  # the ensemble's other members
    earlier: tuple[EarlierRound, ...] = ()  # with which it is averaged
    shards: tuple[tuple[int, int, int], ...]  # (number, first row, end row) of the manifest
    part_s: float = 10.0  # seconds between parts: the work that a killed process may lose

    def files(self) -> list[Path]:
        """List what the worker reads in the workspace, parts of its unfinished shards included."""
        manifest, shards, parts = pq.ParquetFile(self.manifest, memory_map=True), set[str](), list[Path]()
        for number, first, end in self.shards:
            shards.update(manifest_rows(manifest, first, end, ["shard"])["shard"].unique().to_pylist())
            parts += parts_folder(self.folder).glob(f"[!.]*-{number:05d}-*.parquet")
        models = [self.model, *self.others, *(model for each in self.earlier for model in each.models)]
        scorings = [scoring for each in self.earlier for scoring in each.scorings]
        earlier = [file for scoring in scorings for file in (scoring.manifest, *scoring.shards)]
        return [self.manifest, *models, *earlier, *sorted(parts), *(self.workspace / shard for shard in sorted(shards))]


def parts_folder(folder: Path) -> Path:
    """Give the folder in which an attempt keeps the parts of unfinished shards."""
    return folder / "parts"


def shard_files(folder: Path, number: int) -> dict[str, Path]:
    """Give the files of a shard by kind; for some no features are kept, and `own` is for means of rounds only."""
    return {kind: folder / f"{kind}-{number:05d}.parquet" for kind in ("features", "own", "scores")}


def hashes_file(folder: Path, number: int) -> Path:
    """Give the JSON file with the SHA-256 of each file of a shard. If it exists, the shard is complete."""
    return folder / f"hashes-{number:05d}.json"


def new_attempt(folder: Path, kind: str) -> Path:
    """Create a new folder `attempts/<kind>-<number>`: no two attempts write to the same folder."""
    number = 1 + len(list(folder.glob(f"attempts/{kind}-*")))
    attempt = folder / "attempts" / f"{kind}-{number:02d}"
    attempt.mkdir(parents=True)
    return attempt


def manifest_rows(manifest: pq.ParquetFile, first: int, end: int, columns: list[str]) -> pa.Table:
    """Read the rows from `first` to `end` of a manifest, and only the row groups that contain them."""
    parts, start = [], 0
    for group in range(manifest.num_row_groups):
        rows = manifest.metadata.row_group(group).num_rows
        if start < end and start + rows > first:
            inside = slice(max(first - start, 0), min(end - start, rows))
            table = manifest.read_row_group(group, columns=columns)
            parts.append(table.slice(inside.start, inside.stop - inside.start))
        start += rows
    return pa.concat_tables(parts) if parts else manifest.schema_arrow.empty_table().select(columns)


class ProbeJob(BaseModel):
    """Measure which precision is faster, for training and for scoring."""

    recipe: Recipe
    classes: int
    threads: int
    coordinator: int
    answer: Path


class ProbeResult(BaseModel):
    """The faster precision for each setting that is "auto", and the measured seconds of each batch."""

    training: str | None = None
    scoring: str | None = None
    seconds: dict[str, float] = {}
