"""How fast a training step with everything on is, against the bare network's, with one rank and with two.

Everything on: stamps read ahead from the memory map, uint8 to the device, normalisation and augmentation there as the
recipe has them, forward, backward, the gradients' mean over the ranks, the optimiser. The bare loop is the same network
with the same batch, precision, layout, threads and optimiser on one float batch in memory: no reading, no augmentation,
nobody to talk to. With two ranks of one thread each, joined by Horovod as a round joins them, the bare loop runs on
both at the same time, side by side; so do, for a second ratio, whole steps whose gradients stay at home. Steps of each
kind take turns in the same processes.

    python scripts/bench/train.py [--only xception] [--full]

Exits with 1 where a floor is missed: 0.85 of the bare loop's speed in every case, and augmentation at less than 15 per
cent of a step.
"""

import argparse
import copy
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catbuilder.core.recipe import Recipe, load_recipe
from catbuilder.core.stamps import write_shard
from catbuilder.network.jobs import TrainJob
from catbuilder.rounds.launch.processes import threads_for
from catbuilder.rounds.launch.ranks import run_ranks

CLASSES = ("elliptical", "spiral")
FLOOR, AUGMENTATION = 0.85, 0.15
STAMPS = 512


def measure(job: TrainJob, turns: int, steps: int) -> None:
    """One rank's part: turns of `steps` steps of either kind; rank 0 leaves the seconds a step in `measured.json`."""
    import torch

    from catbuilder.network import distributed
    from catbuilder.network.augment import augment
    from catbuilder.network.batches import epoch_batches, read_ahead, stream
    from catbuilder.network.galaxy_network import set_trainable_from
    from catbuilder.network.train import Trainer
    from catbuilder.network.worker import prepare_process

    prepare_process(job.coordinator, job.threads)
    distributed.init()
    trainer = Trainer(job)
    bare = Bare(trainer)
    set_trainable_from(trainer.network, "all")
    gradients = distributed.GradientAverager(trainer.network.parameters(), job.recipe.training.gradient_groups)
    batches = epoch_batches(STAMPS, job.recipe.training.batch_size, trainer.rank, trainer.ranks, 1)
    batches = [batches[i % len(batches)] for i in range(2 * (turns + 1) * steps)]
    ahead = enumerate(read_ahead(trainer.training.reader, batches, trainer.device))
    kinds = {
        "bare": lambda: bare.steps(steps),
        "ours": lambda: whole_steps(trainer, gradients, batches, ahead, steps),
        "alone": lambda: whole_steps(trainer, Alone(), batches, ahead, steps),
    }
    if trainer.ranks == 1:
        del kinds["alone"]
    taken: dict[str, list[float]] = {name: [] for kind in kinds for name in (kind, f"{kind} CPU")}
    taken["augmentation"] = []
    for turn in range(turns + 1):  # the first warms up
        for name, work in kinds.items():
            distributed.barrier()
            started, cpu = time.perf_counter(), time.process_time()
            work()
            distributed.barrier()
            if turn:
                taken[name].append((time.perf_counter() - started) / steps)
                taken[f"{name} CPU"].append((time.process_time() - cpu) / steps)
        images = trainer.network.prepare(torch.from_numpy(trainer.training.reader.read(batches[0])))
        started = time.perf_counter()
        for step in range(steps):
            augment(images, job.recipe.augmentation, stream(trainer.device, "augmentation", turn, step))
        taken["augmentation"].append((time.perf_counter() - started) / steps)
    if trainer.rank == 0:
        numbers = sum(p.numel() for p in trainer.network.parameters())
        (job.folder / "measured.json").write_text(json.dumps({"taken": taken, "numbers": numbers}))
    distributed.shutdown()


def whole_steps(trainer, gradients, batches, ahead: Iterator, steps: int) -> None:
    from catbuilder.network.galaxy_network import train_mode

    train_mode(trainer.network)
    for _ in range(steps):
        step, stamps = next(ahead)
        trainer.step(stamps, batches[step], (0, 1, 0, step, trainer.rank), gradients)


class Alone:
    """Gradients that stay on their rank."""

    def finish(self) -> None:
        pass


class Bare:
    """A copy of the trainer's network that learns one float batch, which lies in memory as the backbone wants it."""

    def __init__(self, trainer) -> None:
        import torch

        from catbuilder.network.galaxy_network import set_trainable_from, train_mode
        from catbuilder.network.train import _adam

        self.network = copy.deepcopy(trainer.network)
        set_trainable_from(self.network, "all")
        train_mode(self.network)
        self.optimiser = _adam(self.network, trainer.recipe)
        batch = np.arange(trainer.settings.batch_size)
        stamps = torch.from_numpy(trainer.training.reader.read(batch))
        self.images = self.network._as_backbone_wants(self.network.prepare(stamps))
        self.labels = torch.from_numpy(trainer.training.labels[batch])
        self.bf16 = trainer.settings.precision == "bf16"

    def steps(self, steps: int) -> None:
        import torch
        import torch.nn.functional as F

        for _ in range(steps):
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                pooled = self.network.backbone(self.images)
            logits = self.network.classifier(self.network.hidden_layers(pooled.float()))
            loss = F.cross_entropy(logits, self.labels)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()


def case(recipe: Recipe, ranks: int, turns: int, steps: int) -> bool:
    """Measure in processes of their own, print, and say whether the floors are met."""
    size = recipe.network.image_size
    threads = threads_for(ranks)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng = np.random.default_rng(1)
        shard = write_shard(folder, "sdss", rng.integers(0, 256, (STAMPS, size, size, 3), np.uint8))
        rows = {
            "survey": ["sdss"] * STAMPS, "object_id": np.arange(STAMPS), "shard": [shard] * STAMPS,
            "row": np.arange(STAMPS), "role": ["training"] * STAMPS, "label": np.arange(STAMPS) % 2,
        }  # fmt: skip
        pq.write_table(pa.table(rows), folder / "manifest.parquet")
        job = TrainJob(
            workspace=folder, manifest=folder / "manifest.parquet", folder=folder, recipe=recipe, classes=CLASSES,
            seed=0, round=1, threads=threads, coordinator=os.getpid(),
        )  # fmt: skip
        os.environ["CATBUILDER_BENCH"] = f"{turns} {steps}"
        run_ranks(job, ranks, lambda: None, "train")
        measured = json.loads((folder / "measured.json").read_text())
    return tell(recipe, ranks, threads, steps, measured["taken"], measured["numbers"])


def tell(recipe: Recipe, ranks: int, threads: int, steps: int, taken: dict, numbers: int) -> bool:
    training = recipe.training
    ratio = median(a / b for a, b in zip(taken["bare"], taken["ours"], strict=True))
    share = median(taken["augmentation"]) / median(taken["ours"])
    cpu = sum(taken["bare CPU"]) / sum(taken["ours CPU"])
    print(
        f"\n{recipe.network.backbone}, {recipe.network.image_size} px, {training.precision}, {ranks} "
        f"x {threads} thread(s), {training.batch_size} images a rank, {len(taken['bare'])} turns of {steps} steps"
    )
    print(f"bare step {median(taken['bare']) * 1000:.0f} ms, whole step {median(taken['ours']) * 1000:.0f} ms; "
          f"gradients {numbers * 4 / 1e6:.1f} MB")  # fmt: skip
    met = judged("the bare loop's", ratio, f" (by CPU time of rank 0 {cpu:.2f})")
    if ranks > 1:
        ratio = median(a / b for a, b in zip(taken["alone"], taken["ours"], strict=True))
        met &= judged(f"{ranks} whole loops' side by side, without Horovod", ratio)
    else:
        print(f"augmentation {100 * share:.1f} % of a step; limit {100 * AUGMENTATION:.0f} %: "
              f"{'met' if share < AUGMENTATION else 'MISSED'}", flush=True)  # fmt: skip
        met &= share < AUGMENTATION
    return met


def judged(whose: str, ratio: float, more: str = "") -> bool:
    met = ratio >= FLOOR
    print(f"{ratio:.2f} of {whose} speed{more}; floor {FLOOR}: {'met' if met else 'MISSED'}", flush=True)
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="part of a network's name: xception or lite0")
    parser.add_argument("--full", action="store_true", help="more turns, and two ranks of Xception too")
    asked = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    print(cpu[1] if cpu else "CPU unknown")
    lite0, xception = (load_recipe(name, ["network.weights=none"]) for name in ("real", "paper"))
    cases = [(lite0, 1, 6, 8), (lite0, 2, 6, 8), (xception, 1, 3, 2)]
    if asked.full:
        cases = [(recipe, ranks, 2 * turns, steps) for recipe, ranks, turns, steps in [*cases, (xception, 2, 3, 2)]]
    wanted = [each for each in cases if asked.only in each[0].network.backbone]
    return 0 if all([case(*each) for each in wanted]) else 1


if __name__ == "__main__":
    if "CATBUILDER_BENCH" in os.environ:  # a rank
        turns, steps = map(int, os.environ["CATBUILDER_BENCH"].split())
        measure(TrainJob.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8")), turns, steps)
    else:
        sys.exit(main())
