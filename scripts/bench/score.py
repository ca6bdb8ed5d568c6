"""How fast scoring is, from the memory map to the recorded Parquet, against the bare network and against Zoobot.

Ours is `score_shard` as a worker process runs it (stamps read ahead from the memory map, uint8 to the device,
normalisation there, the writer's thread, parts and shard as Parquet) and the record in the catalogue's DuckDB file.
The bare loop is the same network with the same batch size, precision, layout and threads on one float batch in memory:
no reading, no normalisation, no writing. The peer is `predict_on_catalog.predict` of Zoobot, PyPI's galaxy classifier,
with the same timm backbone, batch size and precision, on JPEG files of the same stamps, read by two processes as its
users do. All three take turns, shard by shard; the ratio told is the median over turns, so that what slows the machine
for a while slows both sides of one.

Zoobot is installed once with pip into `~/.cache/catbuilder/zoobot-VERSION`, beside and not into our environment.

    python scripts/bench/score.py [--only xception] [--full] [--compile] [--without-zoobot]

Exits with 1 where a floor is missed: 0.93 of the bare loop for legacy_xception at 299 px, 0.85 for EfficientNet-lite0
at 96 px, and 1.3 times Zoobot for either.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from catbuilder.core.machine import usable_cores

# Before torch: it reads them when it is imported. They are those of a worker process.
from catbuilder.rounds.launch.processes import thread_settings

THREADS = usable_cores()
os.environ.update(thread_settings(THREADS))

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from catbuilder.catalogue.new_workspace import create_workspace  # noqa: E402
from catbuilder.catalogue.round_records import RoundPlan  # noqa: E402
from catbuilder.core.recipe import Recipe, load_recipe  # noqa: E402
from catbuilder.core.stamps import write_shard  # noqa: E402
from catbuilder.network.checkpoint import save_model  # noqa: E402
from catbuilder.network.galaxy_network import build_network  # noqa: E402
from catbuilder.network.jobs import ScoreJob, shard_files  # noqa: E402
from catbuilder.network.model_card import CardPlan as TrainedPlan  # noqa: E402
from catbuilder.network.model_card import ModelCard  # noqa: E402
from catbuilder.network.score import _scorer, score_shard  # noqa: E402
from catbuilder.network.scorer import Ensemble, Scorer  # noqa: E402
from catbuilder.network.worker import EventLog, prepare_process  # noqa: E402
from catbuilder.rounds.scoring import record_scores  # noqa: E402

CLASSES = ("elliptical", "spiral")
ZOOBOT = "2.9.0"
# What Zoobot imports beside what we have; without its own wish for torchaudio, wandb and the like, which predicting
# does not touch. Versions are pinned, since pip is told not to look for others.
ZOOBOT_NEEDS = (
    f"zoobot=={ZOOBOT}", "galaxy-datasets==0.0.25", "lightning==2.6.6", "pytorch-lightning==2.6.6",
    "torchmetrics==1.9.0", "lightning-utilities==0.15.3", "pandas==3.1.1", "webdataset==1.0.2", "braceexpand==0.1.7",
    "h5py==3.16.0", "omegaconf==2.4.0", "antlr4-python3-runtime==4.9.3", "datasets==5.2.0", "multiprocess==0.70.19",
    "dill==0.4.1", "xxhash==4.1.0", "aiohttp==3.14.5", "litmodels==0.1.8",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A network, and what scoring with it must reach."""

    name: str
    recipe: Recipe
    shard: int  # stamps of a turn
    turns: int
    floor: float  # of the bare loop
    zoobot_floor: float = 1.3


def cases(full: bool, compiled: bool) -> list[Case]:
    common = ["network.weights=none", "scoring.symmetries=1", f"scoring.compile={str(compiled).lower()}"]
    lite0, xception = load_recipe("real", common), load_recipe("paper", common)
    return [
        Case("tf_efficientnet_lite0, 96 px, fp32", lite0, 4096 if full else 2048, 9 if full else 3, 0.85),
        Case("legacy_xception, 299 px, bf16", xception, 512 if full else 96, 5 if full else 3, 0.93),
    ]


def galaxies(n: int, size: int) -> np.ndarray:
    """Round and long blobs with noise, uint8 (n, size, size, 3)."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:size, :size] / size - 0.5
    stamps = np.empty((n, size, size, 3), np.uint8)
    for stamp in stamps:
        light = 170 * np.exp(-(x**2 + (y * rng.uniform(1, 3)) ** 2) / rng.uniform(0.01, 0.05))
        pixels = light[..., None] * [1.0, 0.8, 0.6] + rng.normal(20, 4, (size, size, 3))
        stamp[:] = pixels.clip(0, 255)
    return stamps


class Ours:
    """A workspace with stamps, a manifest and a model, scored shard by shard."""

    def __init__(self, folder: Path, case: Case, stamps: np.ndarray) -> None:
        self.workspace = create_workspace(folder, CLASSES, stamps.shape[1])
        shard = write_shard(folder, "des", stamps)
        n = case.shard * (case.turns + 1)
        manifest = {
            "survey": ["des"] * n, "object_id": np.arange(n), "shard": [shard] * n,
            "row": np.arange(n) % len(stamps), "keep_features": np.arange(n) % 8 == 0,
        }  # fmt: skip
        pq.write_table(pa.table(manifest), folder / "score.parquet")
        network = build_network(case.recipe.network, len(CLASSES))
        plan = TrainedPlan(
            recipe_sha256="", manifest_sha256="", classes=CLASSES, seed=0, round=1, ranks=1, threads=THREADS
        )
        save_model(
            folder / "model.safetensors", network.state_dict(),
            ModelCard(recipe=case.recipe, plan=plan, best_epoch=0, history=[]),
        )  # fmt: skip
        shards = tuple((k, k * case.shard, (k + 1) * case.shard) for k in range(case.turns + 1))
        self.job = ScoreJob(
            workspace=folder, manifest=folder / "score.parquet", folder=folder / "scores", recipe=case.recipe,
            classes=CLASSES, seed=0, round=1, threads=THREADS, coordinator=os.getppid(),
            model=folder / "model.safetensors", shards=shards,
        )  # fmt: skip
        self.scorer = Ensemble([_scorer(self.job, self.job.model)])
        self.log = EventLog(folder / "score.jsonl")

    def turn(self, number: int) -> float:
        started = time.perf_counter()
        score_shard(self.job, self.scorer, *self.job.shards[number], log=self.log, done=0)
        return time.perf_counter() - started

    def record(self) -> float:
        """Record every shard in the catalogue, as the coordinator does; seconds."""
        files = [shard_files(self.job.folder, number)["scores"] for number, _, _ in self.job.shards]
        plan = RoundPlan(round=1, recipe=self.job.recipe, classes=CLASSES, seed=0, ranks=1, threads=THREADS, training=0,
                         validation=0, scored=0, manifest_sha256="", score_manifest_sha256="")  # fmt: skip
        started = time.perf_counter()
        with self.workspace.recording("bench") as recording:
            record_scores(recording, plan, files, 1)
        return time.perf_counter() - started


class Bare:
    """The network on one float batch that lies in memory as the backbone wants it."""

    def __init__(self, scorer: Scorer, stamps: np.ndarray, shard: int) -> None:
        self.network, self.bf16 = scorer.network, scorer.bf16
        self.batches = -(-shard // scorer.batch_size)
        images = self.network.prepare(torch.from_numpy(stamps[: scorer.batch_size]))
        self.images = self.network._as_backbone_wants(images)
        self.backbone = self.network.backbone
        if scorer._features != self.network.features:
            self.backbone = torch.compile(self.backbone, dynamic=False)

    @torch.inference_mode()
    def turn(self) -> float:
        started = time.perf_counter()
        for _ in range(self.batches):
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                pooled = self.backbone(self.images)
            self.network.classifier(self.network.hidden_layers(pooled.float())).softmax(1)
        return time.perf_counter() - started


class Zoobot:
    """Zoobot's own prediction, in a process that waits between its turns."""

    def __init__(self, folder: Path, case: Case, stamps: np.ndarray) -> None:
        site = install_zoobot()
        images = folder / "images"
        images.mkdir(parents=True)
        for number in range(case.shard):
            Image.fromarray(stamps[number % len(stamps)]).save(images / f"{number:06d}.jpg", quality=95)
        asked = {
            "images": str(images), "n": case.shard, "backbone": case.recipe.network.backbone,
            "size": case.recipe.network.image_size, "batch_size": case.recipe.scoring.batch_size,
            "bf16": case.recipe.scores_in_bf16, "threads": THREADS,
        }  # fmt: skip
        path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--zoobot", json.dumps(asked)], env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def turn(self) -> float:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("again\n")
        self.process.stdin.flush()
        for line in self.process.stdout:  # Lightning says this and that before
            if line.startswith("seconds "):
                return float(line.split()[1])
        raise SystemExit("Zoobot ended before it had predicted; see: python scripts/bench/score.py --zoobot")

    def close(self) -> None:
        self.process.communicate(timeout=60)


def install_zoobot() -> Path:
    """Folder with Zoobot and what it imports, made with pip the first time."""
    place = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "catbuilder" / f"zoobot-{ZOOBOT}"
    if not place.is_dir():
        print(f"installing Zoobot {ZOOBOT} into {place}", flush=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as draft:
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", draft, *ZOOBOT_NEEDS]
            if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
                raise SystemExit("Zoobot cannot be installed here, so that floor is not met; or: --without-zoobot")
            Path(draft).chmod(0o755)
            os.rename(draft, place)
            Path(draft).mkdir()  # what the context manager removes
    return place


def be_zoobot(asked: dict) -> None:
    """Predict once a line on stdin, and tell the seconds."""
    import logging

    import pandas
    import timm
    from galaxy_datasets.transforms import fast_view_config, get_galaxy_transform
    from zoobot.pytorch.predictions.predict_on_catalog import predict
    from zoobot.pytorch.training.finetune import FinetuneableZoobotClassifier

    logging.disable(logging.WARNING)
    torch.set_num_threads(asked["threads"])
    files = [f"{asked['images']}/{number:06d}.jpg" for number in range(asked["n"])]
    catalog = pandas.DataFrame({"id_str": [str(n) for n in range(asked["n"])], "file_loc": files})
    encoder = timm.create_model(asked["backbone"], pretrained=False, num_classes=0)

    class Classifier(FinetuneableZoobotClassifier):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).float()  # predict hands the logits to numpy, which knows no bf16

    model = Classifier(num_classes=len(CLASSES), encoder=encoder)
    view = fast_view_config()  # a centre crop of the stamp's own size is all it does: nothing is resampled
    view.output_size = asked["size"]
    precision = "bf16-mixed" if asked["bf16"] else "32-true"
    for _ in sys.stdin:
        started = time.perf_counter()
        predict(
            catalog, model, f"{asked['images']}/../predictions.csv", list(CLASSES), get_galaxy_transform(view),
            datamodule_kwargs={"batch_size": asked["batch_size"], "num_workers": 2},
            trainer_kwargs={"accelerator": "cpu", "precision": precision, "logger": False,
                            "enable_progress_bar": False, "enable_model_summary": False},
        )  # fmt: skip
        print("seconds", time.perf_counter() - started, flush=True)


def measure(case: Case, folder: Path, with_zoobot: bool) -> bool:
    size = case.recipe.network.image_size
    stamps = galaxies(min(case.shard, 1024), size)
    ours = Ours(folder / "ws", case, stamps)
    bare = Bare(ours.scorer.members[0], stamps, case.shard)
    turns = {"bare": bare.turn, "ours": iter_turns(ours)}
    zoobot = Zoobot(folder / "zoobot", case, stamps) if with_zoobot else None
    if zoobot:
        turns["zoobot"] = zoobot.turn
    taken, busy = ({name: [] for name in turns} for _ in range(2))
    for turn in range(case.turns + 1):  # the first warms up
        for name, take in turns.items():
            cpu, seconds = time.process_time(), take()
            if turn:
                taken[name].append(seconds)
                busy[name].append(time.process_time() - cpu)
    if zoobot:
        zoobot.close()
    print(f"\n{case.name}, batches of {case.recipe.scoring.batch_size}, {case.turns} turns of {case.shard} stamps")
    print(f"CPU time of the bare network over that of ours: {sum(busy['bare']) / sum(busy['ours']):.2f}")
    return tell(case, taken, ours.record() / (case.turns + 1))


def iter_turns(ours: Ours):
    numbers = iter(range(len(ours.job.shards)))
    return lambda: ours.turn(next(numbers))


def tell(case: Case, taken: dict[str, list[float]], record: float) -> bool:
    """Print the rates, the median ratio of a turn and its range; whether the floors are met."""
    seconds = {name: median(each) for name, each in taken.items()}
    seconds["ours"] += record
    names = {"bare": "bare network, in memory", "ours": "catbuilder, map to record", "zoobot": "Zoobot, from JPEG"}
    for name, each in seconds.items():
        print(f"{names[name]:28}{case.shard / each:>8.1f} stamps/s   (record {record:.2f} s)"
              if name == "ours" else f"{names[name]:28}{case.shard / each:>8.1f} stamps/s")  # fmt: skip
    met = True
    for other, floor in (("bare", case.floor), ("zoobot", case.zoobot_floor)):
        if other not in seconds:
            print(f"against {other}: not measured")
            continue
        by_turn = [a / (b + record) for a, b in zip(taken[other], taken["ours"], strict=True)]
        ratio = median(by_turn)
        met &= ratio >= floor
        print(f"{ratio:.2f} of the speed of {names[other]} ({min(by_turn):.2f} to {max(by_turn):.2f}); "
              f"floor {floor}: {'met' if ratio >= floor else 'MISSED'}")  # fmt: skip
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="part of a network's name: xception or lite0")
    parser.add_argument("--full", action="store_true", help="more and longer turns")
    parser.add_argument("--compile", action="store_true", help="with scoring.compile, the bare loop compiled too")
    parser.add_argument("--without-zoobot", action="store_true", help="leave that floor unmeasured")
    parser.add_argument("--zoobot", help=argparse.SUPPRESS)  # what the peer's process is started with
    asked = parser.parse_args()
    if asked.zoobot:
        be_zoobot(json.loads(asked.zoobot))
        return 0
    prepare_process(os.getppid(), THREADS)
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    print(f"{cpu[1] if cpu else 'CPU unknown'}, {THREADS} cores, torch {torch.__version__}")
    met = True
    for case in cases(asked.full, asked.compile):
        if asked.only in case.name:
            with tempfile.TemporaryDirectory() as folder:
                met &= measure(case, Path(folder), not asked.without_zoobot)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
