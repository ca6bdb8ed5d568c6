"""What the coordinator tells a worker process: one JSON file a job, checked when it is read.

Workers never open the catalogue. They read this file, the manifest it names and the memory-mapped stamps,
and write into their attempt's folder; the coordinator checks what they left and records it.

The manifest of a training job is a Parquet file with the columns `survey`, `object_id`, `shard` (path of the
stamp shard below the workspace), `row` (in that shard), `role` ('training' or 'validation') and `label`
(index into the classes); that of a scoring job has `survey`, `object_id`, `shard`, `row` and
`keep_features` (boolean).
"""

from pathlib import Path

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
    coordinator: int  # process id; the worker dies with it

    def write(self, path: Path) -> Path:
        """Write the job where its workers will read it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=1), encoding="utf-8")
        return path


class TrainJob(_Job):
    """Train on the manifest; leaves `checkpoint-<epoch>.safetensors`, `train.jsonl` and `model.safetensors`."""

    resume_from: Path | None = None  # the last whole checkpoint of an earlier attempt


class ScoreJob(_Job):
    """Score the manifest's rows; leaves `scores-`, `features-<shard>.parquet` and `hashes-<shard>.json`.

    Parts of shards that are not whole yet stand in `parts`; those of an earlier attempt, put there, are gone on from.
    """

    model: Path  # safetensors; of an ensemble its member 0, whose features are kept
    others: tuple[Path, ...] = ()  # the ensemble's other members
    shards: tuple[tuple[int, int, int], ...]  # (number, first row, end row) of the manifest
    part_s: float = 10.0  # seconds of work that a process which dies may lose


def parts_folder(folder: Path) -> Path:
    """Where an attempt keeps the parts of shards that are not whole yet."""
    return folder / "parts"


def shard_files(folder: Path, number: int) -> dict[str, Path]:
    """Where the scores and the features of a shard lie, by kind; of some shards no features are kept."""
    return {kind: folder / f"{kind}-{number:05d}.parquet" for kind in ("features", "scores")}


def hashes_file(folder: Path, number: int) -> Path:
    """JSON file of the SHA-256 of each file of a shard; where it is, the shard is whole."""
    return folder / f"hashes-{number:05d}.json"


def new_attempt(folder: Path, kind: str) -> Path:
    """A fresh folder `attempts/<kind>-<number>`: no two attempts ever write to the same place."""
    number = 1 + len(list(folder.glob(f"attempts/{kind}-*")))
    attempt = folder / "attempts" / f"{kind}-{number:02d}"
    attempt.mkdir(parents=True)
    return attempt


class ProbeJob(BaseModel):
    """What is to be tried."""

    recipe: Recipe
    classes: int
    threads: int
    coordinator: int
    answer: Path


class SettledPrecision(BaseModel):
    """The answer, and what it was found from: seconds a batch."""

    training: str | None = None
    scoring: str | None = None
    seconds: dict[str, float] = {}
