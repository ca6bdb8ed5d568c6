"""What training and scoring would take on many GPUs: a cost model, checked against the paper's own times.

One epoch of training: steps x (compute + allreduce), where steps = ceil(images / (batch x N)), and a ring allreduce of
G bytes over N ranks takes 2 (N - 1) / N x G / bandwidth + 2 (N - 1) x latency. Nothing is taken to overlap, as with the
recipes' one group of gradients. Scoring: the slowest process has ceil(shards / N) shards of 65,536 stamps; then one
process records them all. G and the shards' size come from the code, the rate of recording is measured here and now;
every other number is an option.

    python scripts/study/scaling.py [--train-rate 300] [--score-rate 1000] [--bandwidth 4.3] [--batch 16] ...
"""

import argparse
import tempfile
import time
from math import ceil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catbuilder.catalogue.new_workspace import create_workspace
from catbuilder.catalogue.round_records import RoundPlan
from catbuilder.core.recipe import load_recipe
from catbuilder.network.galaxy_network import build_network, set_trainable_from
from catbuilder.rounds.scoring import SHARD_OBJECTS, record_scores

IMAGES, BATCH = 36_620, 16  # the paper's training set (Khan et al. 2019), and images of a GPU's step
PAPER = ((1, (410, 922, 1626)), (8, (64, 124, 214)), (64, (13, 15, 27)))  # GPUs: seconds an epoch, three stages


def gradient_bytes() -> list[int]:
    """Bytes of fp32 gradients in each stage of the recipe `paper`."""
    recipe = load_recipe("paper")
    network = build_network(recipe.network, 2)
    sizes = []
    for stage in recipe.training.stages:
        set_trainable_from(network, stage.train_from)
        sizes.append(4 * sum(p.numel() for p in network.parameters() if p.requires_grad))
    return sizes


def record_rate(rows: int = 2_000_000) -> float:
    """Rows a second that the coordinator records from Parquet shards into a new catalogue."""
    plan = RoundPlan(round=1, recipe=load_recipe("paper"), classes=("elliptical", "spiral"), seed=0, ranks=1, threads=1,
                training=0, validation=0, scored=rows, manifest_sha256="", score_manifest_sha256="")  # fmt: skip
    scores = np.random.default_rng(1).random(rows, np.float32)
    with tempfile.TemporaryDirectory() as folder:
        workspace = create_workspace(f"{folder}/ws")
        files: list[Path] = []
        for first in range(0, rows, SHARD_OBJECTS):
            p = scores[first : first + SHARD_OBJECTS]
            ids = np.arange(first, first + len(p))
            table = pa.table({"survey": ["des"] * len(p), "object_id": ids, "p_elliptical": p, "p_spiral": 1 - p})
            files.append(Path(f"{folder}/{first}.parquet"))
            pq.write_table(table, files[-1], compression="zstd")
        started = time.perf_counter()
        with workspace.recording("scaling") as recording:
            record_scores(recording, plan, files, 1)
        return rows / (time.perf_counter() - started)


def epoch(gpus: int, step: float, gradients: int, batch: int, asked: argparse.Namespace) -> float:
    """Seconds an epoch of the paper's training set takes."""
    ring = 2 * (gpus - 1) / gpus * gradients / (asked.bandwidth * 1e9) + 2 * (gpus - 1) * asked.latency * 1e-6
    return ceil(IMAGES / (batch * gpus)) * (step + ring)


def tell_paper(gradients: list[int], asked: argparse.Namespace) -> None:
    print(f"Table 3 of the paper (K80), seconds an epoch: measured / model at {asked.bandwidth:g} GB/s")
    alone = [seconds / ceil(IMAGES / BATCH) for seconds in PAPER[0][1]]
    for gpus, measured in PAPER:
        modelled = [epoch(gpus, step, size, BATCH, asked) for step, size in zip(alone, gradients, strict=True)]
        pairs = "".join(f"{m:>8} /{e:>7.1f}" for m, e in zip(measured, modelled, strict=True))
        rate = IMAGES / measured[-1], IMAGES / modelled[-1]
        print(f"{gpus:>4} GPUs{pairs}   last stage {rate[0]:,.0f} / {rate[1]:,.0f} images/s")


def tell_training(gradients: list[int], asked: argparse.Namespace) -> None:
    step = asked.batch / asked.train_rate
    print(f"\nlast stage on cards of {asked.train_rate:g} images/s, batch {asked.batch}: {1000 * step:.0f} ms a step, "
          f"{gradients[-1] / 1e6:.0f} MB of gradients")  # fmt: skip
    one = epoch(1, step, gradients[-1], asked.batch, asked)
    for gpus in (1, 8, 64):
        seconds = epoch(gpus, step, gradients[-1], asked.batch, asked)
        reading = IMAGES / seconds * 299**2 * 3 / 1e9
        print(f"{gpus:>4} GPUs{seconds:>9.1f} s an epoch, efficiency {one / gpus / seconds:>4.0%}, "
              f"{IMAGES / seconds:>9,.0f} images/s, reads {reading:.2f} GB/s")  # fmt: skip


def tell_scoring(asked: argparse.Namespace) -> None:
    shards = ceil(asked.objects / SHARD_OBJECTS)
    recording = asked.objects / (rate := record_rate())
    print(f"\nscoring {asked.objects:,} stamps at {asked.score_rate:g} a second and card, {shards:,} shards; "
          f"recording at {rate:,.0f} rows/s takes {recording / 60:.0f} min more")  # fmt: skip
    for gpus in (1, 64, 512):
        seconds = ceil(shards / gpus) * SHARD_OBJECTS / asked.score_rate
        for px in (64, 96, 299):
            total = asked.objects * px**2 * 3
            start = f"{gpus:>4} GPUs{seconds / 3600:>9.2f} h" if px == 64 else " " * 20
            print(f"{start}   {px:>3} px: {total / 1e12:>5.1f} TB, {total / seconds / 1e9:>7.2f} GB/s from the disks")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--bandwidth", type=float, default=4.3, help="GB/s of the ring (fitted to Table 3)")
    parser.add_argument("--latency", type=float, default=20.0, help="microseconds a hop (assumed)")
    parser.add_argument("--train-rate", type=float, default=300.0, help="images/s a card in training (assumed)")
    parser.add_argument("--score-rate", type=float, default=1000.0, help="stamps/s a card in scoring (assumed)")
    parser.add_argument("--objects", type=int, default=300_000_000)
    parser.add_argument("--batch", type=int, default=BATCH, help="images of a GPU's step")
    asked = parser.parse_args()
    gradients = gradient_bytes()
    tell_paper(gradients, asked)
    tell_training(gradients, asked)
    tell_scoring(asked)


if __name__ == "__main__":
    main()
