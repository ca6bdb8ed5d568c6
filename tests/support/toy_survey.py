"""A survey of blobs and bars, a recipe that learns to tell them apart in seconds, and worker processes to run it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from support.forked_processes import run_forked
from support.workers_here import do_job

from catbuilder.core.recipe import Recipe
from catbuilder.core.stamps import write_shard
from catbuilder.network.jobs import ScoreJob, TrainJob

CLASSES = ("blob", "bar")
SIZE = 32


def toy_recipe(**training: object) -> Recipe:
    stages = [{"epochs": 1, "train_from": "head"}, {"epochs": 2, "train_from": "blocks"}]
    settings = {"stages": stages, "batch_size": 16, "learning_rate": 3e-3, "warmup_epochs": 0, "scale_rate": False}
    return Recipe.model_validate(
        {
            "name": "toy",
            "network": {
                "backbone": "test_efficientnet",
                "weights": "none",
                "image_size": SIZE,
                "hidden": 16,
                "dropout": 0.2,
            },
            "training": settings | training,
            "augmentation": {"noise": 0.05, "grey": 0.5, "shift": 0.1},
            "scoring": {"batch_size": 16},
        }
    )


def toy_stamps(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """A round galaxy for label 0, a long thin one for label 1; uint8 (n, SIZE, SIZE, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    angle = rng.uniform(0, np.pi, len(labels))[:, None, None]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    thin = np.where(labels == 1, 4.0, 1.0)[:, None, None]
    light = 180 * np.exp(-(along**2 + (across * thin) ** 2) / 60)
    pixels = light[..., None] * [1.0, 0.8, 0.6] + rng.normal(20, 4, (len(labels), SIZE, SIZE, 3))
    return pixels.clip(0, 255).astype(np.uint8)


def toy_workspace(folder: Path, n: int = 120, validation: int = 40) -> Path:
    """A folder with one shard and the manifests `train.parquet` and `score.parquet` over it."""
    folder.mkdir(parents=True)
    labels = np.arange(n) % 2
    shard = write_shard(folder, "sdss", toy_stamps(labels))
    rows = {
        "survey": ["sdss"] * n,
        "object_id": pa.array(np.arange(n) + 1000, pa.int64()),
        "shard": [shard] * n,
        "row": pa.array(np.arange(n), pa.int64()),
    }
    role = ["validation" if i < validation else "training" for i in range(n)]
    pq.write_table(pa.table(rows | {"role": role, "label": pa.array(labels, pa.int64())}), folder / "train.parquet")
    pq.write_table(pa.table(rows | {"keep_features": [i % 3 == 0 for i in range(n)]}), folder / "score.parquet")
    return folder


def train_job(workspace: Path, attempt: str, recipe: Recipe, seed: int = 1, resume: Path | None = None) -> TrainJob:
    return TrainJob(
        workspace=workspace,
        manifest=workspace / "train.parquet",
        folder=workspace / attempt,
        recipe=recipe,
        classes=CLASSES,
        seed=seed,
        round=1,
        threads=1,
        coordinator=os.getpid(),
        resume_from=resume,
    )


def score_job(workspace: Path, attempt: str, recipe: Recipe, shards: tuple, **changes: object) -> ScoreJob:
    """Score with the model of the attempt `train`, unless `changes` say otherwise."""
    job = ScoreJob(
        workspace=workspace,
        manifest=workspace / "score.parquet",
        folder=workspace / attempt,
        recipe=recipe,
        classes=CLASSES,
        seed=1,
        round=1,
        threads=1,
        coordinator=os.getpid(),
        model=workspace / "train" / "model.safetensors",
        shards=shards,
    )
    return job.model_copy(update=changes)


def run(job: TrainJob | ScoreJob) -> None:
    """Do a job in this process."""
    job.write(job.folder / "job.json")
    do_job(job)


def run_process(module: str, job: TrainJob | ScoreJob, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a worker process to its end, as the coordinator would."""
    path = job.write(job.folder / "job.json")
    return run_forked([sys.executable, "-m", module, str(path)], **environment)
