"""What each setting of training does to a network's accuracy and to its spread over seeds, before any recursion.

On simulated skies a network is trained on SDSS labels with each setting of `SETTINGS` and several seeds, and judged on
the DES pool, whose true classes the simulation knows. No test set is looked at, except with --confirm, which measures
FO in DES (1,000 galaxies, 1,000 labelled ones) on a fresh sky. `calibrated` is the accuracy after a temperature and a
shift fitted to half of the calibration galaxies, as `calibrate` under [speaking] does it. A row is appended to
`noise.csv`, or `spread.csv`, for each training, so that the study can be stopped and continued, and two processes can
share it, some seeds each.

    python scripts/study/training_noise.py FOLDER [--skies 110 111] [--seeds 0 1 2] [--settings shipped frozen ...]
    python scripts/study/training_noise.py FOLDER --confirm --skies 200 --seeds 0 1 2 3 4 5 --settings shipped demo
"""

import argparse
import csv
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

PLAN = {"training": 600, "hp": 20, "fo": 20, "calibration": 150, "pool": 1400, "faults": 0}
HEAD = '{epochs=%d, train_from="head"}'
ALL = '{epochs=%d, train_from="all", rate=%g, cosine=true}'
OLD_STAGES = '[{epochs=1, train_from="head"}, {epochs=4, train_from="all", rate=0.5, cosine=true}]'
SETTINGS: dict[str, tuple[str, ...]] = {
    "demo": (),
    "shipped": ("training.keep=best", "training.batchnorm=batch", f"training.stages={OLD_STAGES}"),
    "last": ("training.keep=last",),
    "average": ("training.ema=0.98", "training.keep=last"),
    "frozen": ("training.batchnorm=frozen",),
    "frozen, last": ("training.batchnorm=frozen", "training.keep=last"),
    "frozen, last, average": ("training.batchnorm=frozen", "training.keep=last", "training.ema=0.98"),
    "frozen, last, layers": ("training.batchnorm=frozen", "training.keep=last", "training.layer_decay=0.75"),
    "frozen, last, longer": ("training.batchnorm=frozen", "training.keep=last", "training.stages.1.epochs=8"),
    "frozen, last, layers, longer": (
        "training.batchnorm=frozen",
        "training.keep=last",
        "training.layer_decay=0.75",
        "training.stages.1.epochs=8",
    ),
    "last, longer": ("training.keep=last", "training.stages.1.epochs=8"),
    "last, slower": ("training.keep=last", "training.stages.1.epochs=8", "training.stages.1.rate=0.2"),
    "head": ("training.keep=last", f"training.stages=[{HEAD % 12}]"),
    "head, gentle": ("training.keep=last", f"training.stages=[{HEAD % 4}, {ALL % (5, 0.1)}]"),
    "head, gentle, frozen": (
        "training.keep=last",
        "training.batchnorm=frozen",
        f"training.stages=[{HEAD % 4}, {ALL % (5, 0.1)}]",
    ),
    "head, gentle, frozen, longer": (
        "training.keep=last",
        "training.batchnorm=frozen",
        f"training.stages=[{HEAD % 4}, {ALL % (10, 0.1)}]",
    ),
    "head, gentle, frozen, 7 epochs": (
        "training.keep=last",
        "training.batchnorm=frozen",
        f"training.stages=[{HEAD % 3}, {ALL % (7, 0.1)}]",
    ),
    "head, gentle, frozen, 5 epochs": (
        "training.keep=last",
        "training.batchnorm=frozen",
        f"training.stages=[{HEAD % 3}, {ALL % (5, 0.1)}]",
    ),
    "head, gentle, frozen, 11 epochs": (
        "training.keep=last",
        "training.batchnorm=frozen",
        f"training.stages=[{HEAD % 3}, {ALL % (11, 0.1)}]",
    ),
    "head, gentle, frozen, 7 epochs, layers": (
        "training.keep=last",
        "training.batchnorm=frozen",
        "training.layer_decay=0.9",
        f"training.stages=[{HEAD % 3}, {ALL % (7, 0.15)}]",
    ),
    "head, less gentle, frozen": (
        "training.keep=last",
        "training.batchnorm=frozen",
        f"training.stages=[{HEAD % 4}, {ALL % (5, 0.2)}]",
    ),
    "head, less gentle, frozen, average": (
        "training.keep=last",
        "training.batchnorm=frozen",
        "training.ema=0.95",
        f"training.stages=[{HEAD % 4}, {ALL % (5, 0.2)}]",
    ),
    "head, layers, frozen": (
        "training.keep=last",
        "training.batchnorm=frozen",
        "training.layer_decay=0.75",
        f"training.stages=[{HEAD % 4}, {ALL % (5, 0.3)}]",
    ),
}
COLUMNS = ("sky", "setting", "seed", "seconds", "accuracy", "calibrated", "balanced", "auc", "log_loss", "validation")


@dataclass(frozen=True)
class Bed:
    """A simulated sky: its workspace, the manifest of its first round, and DES galaxies with their true classes.

    These are the ones to judge by, and the half of the calibration galaxies that fits the calibrator.
    """

    folder: Path
    classes: tuple[str, ...]
    galaxies: pa.Table
    spiral: np.ndarray  # (n,), whether a galaxy is one
    fits: np.ndarray  # (n,), whether it fits the calibrator


def bed(folder: Path, sky: int, confirm: bool) -> Bed:
    """Simulate a sky, unless it is there, and write the manifest of its first round."""
    from catbuilder.core.recipe import load_recipe
    from catbuilder.sets.manifest import write_score_manifest
    from catbuilder.sets.training_manifest import choose_training, write_training_manifest
    from catbuilder.simulation.galaxies import SurveyPlan
    from catbuilder.simulation.survey import simulate

    place, recipe = folder / (f"sky-{sky}-fo" if confirm else f"sky-{sky}"), load_recipe("demo")
    sizes = PLAN | ({"training": 1000, "fo": 1000} if confirm else {})
    simulate(place, SurveyPlan(**sizes), seed=sky, processes=1)
    judged = "test_set = 'FO'" if confirm else "split = 'pool'"
    from catbuilder.catalogue.workspace import Workspace

    workspace = Workspace.open(place)
    with workspace.reading() as con:
        choose_training(workspace, con, 1, recipe)
        write_training_manifest(con, place / "study.parquet")
        wanted = con.sql(
            f"SELECT survey, object_id, false AS fits FROM catalog WHERE {judged} AND survey = 'des' "
            "UNION ALL SELECT survey, object_id, true FROM calibration_at() WHERE half = 'fit' AND survey = 'des'"
        ).to_arrow_table()
        write_score_manifest(con, recipe, place / "scored.parquet")
        stamps = pq.read_table(place / "scored.parquet").join(wanted, ["survey", "object_id"], join_type="inner")
    truth = pa.csv.read_csv(place / "sources/truth.csv").select(["object_id", "label"])
    known = stamps.join(truth, "object_id", join_type="inner").sort_by("object_id")
    spiral = np.array(known["label"].to_pylist()) == "spiral"
    return Bed(place, tuple(workspace.config.classes), known, spiral, known["fits"].to_numpy())


def train(bed: Bed, name: str, seed: int) -> dict[str, float]:
    """Train once with a setting, and measure it on the pool."""
    from catbuilder.core.recipe import load_recipe
    from catbuilder.core.stamps import StampReader
    from catbuilder.decisions.calibrator import fit_calibrator
    from catbuilder.network.batches import ordered_batches, read_ahead
    from catbuilder.network.checkpoint import load_model
    from catbuilder.network.jobs import TrainJob
    from catbuilder.network.scorer import Scorer
    from catbuilder.network.train import train as train_job

    recipe = load_recipe("demo", SETTINGS[name])
    folder = bed.folder / "study" / f"{name.replace(', ', '-')}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    job = TrainJob(
        workspace=bed.folder, manifest=bed.folder / "study.parquet", folder=folder, recipe=recipe,
        classes=bed.classes, seed=seed, round=1, threads=len(os.sched_getaffinity(0)), coordinator=os.getpid(),
    )  # fmt: skip
    started = time.perf_counter()
    train_job(job)
    seconds = time.perf_counter() - started
    for checkpoint in folder.glob("checkpoint-*"):
        checkpoint.unlink()
    network, card = load_model(folder / "model.safetensors")
    scorer = Scorer(network, 64, 1, False, True)
    reader = StampReader(bed.folder, bed.galaxies["shard"].to_pylist(), bed.galaxies["row"].to_numpy())
    batches = ordered_batches(0, bed.galaxies.num_rows, 64)
    posterior = np.concatenate([scorer.score(s).posteriors for s in read_ahead(reader, batches, scorer.device)])
    number, judged = bed.classes.index("spiral"), ~bed.fits
    truth = np.where(bed.spiral, number, 1 - number)
    calibrator = fit_calibrator(posterior[bed.fits], truth[bed.fits], "shift")
    spiral, is_spiral = posterior[judged, number], bed.spiral[judged]
    np.save(folder / "judged.npy", posterior[judged])
    (validation,) = card.history[card.best_epoch].accuracy.values()
    return {
        "seconds": round(seconds, 1),
        "accuracy": float(np.mean((spiral > 0.5) == is_spiral)),
        "calibrated": float(np.mean(calibrator(posterior[judged]).argmax(1) == truth[judged])),
        "balanced": float(balanced_accuracy_score(is_spiral, spiral > 0.5)),
        "auc": float(roc_auc_score(is_spiral, spiral)),
        "log_loss": float(log_loss(is_spiral, spiral.clip(1e-6, 1 - 1e-6))),
        "validation": validation,
    }


def summarise(file: Path) -> None:
    """Print the mean over skies and seeds, and the spread over the seeds of a sky."""
    with file.open(newline="") as rows:
        found = list(csv.DictReader(rows))
    for name in dict.fromkeys(row["setting"] for row in found):
        mine = [row for row in found if row["setting"] == name]
        skies = {row["sky"] for row in mine}
        spread = {what: _spread(mine, what) for what in ("accuracy", "calibrated")}
        mean = {
            k: np.mean([float(row[k]) for row in mine])
            for k in ("accuracy", "calibrated", "auc", "log_loss", "validation", "seconds")
        }
        print(
            f"{name:26} {100 * mean['accuracy']:5.1f} % ± {100 * spread['accuracy']:.1f} (seeds), calibrated "
            f"{100 * mean['calibrated']:5.1f} % ± {100 * spread['calibrated']:.2f}, AUC {mean['auc']:.4f}, "
            f"log loss {mean['log_loss']:.3f}, SDSS validation {100 * mean['validation']:5.1f} %, "
            f"{mean['seconds']:4.0f} s, {len(mine)} trainings on {len(skies)} skies"
        )


def _spread(rows: list[dict[str, str]], what: str) -> float:
    """Compute the standard deviation over the seeds of a sky, in the root mean square over skies."""
    skies = {row["sky"] for row in rows}
    of_sky = [np.array([float(row[what]) for row in rows if row["sky"] == sky]) for sky in skies]
    return float(np.sqrt(np.mean([a.var(ddof=1) for a in of_sky]))) if min(map(len, of_sky)) > 1 else float("nan")


def main() -> None:
    """Run the trainings that are missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--skies", type=int, nargs="*", default=[110, 111])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS))
    parser.add_argument("--confirm", action="store_true", help="measure FO in DES on a fresh sky")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    file = asked.folder / ("spread.csv" if asked.confirm else "noise.csv")
    if not file.exists():
        file.write_text(",".join(COLUMNS) + "\n")
    for sky in asked.skies:
        of_sky = bed(asked.folder, sky, asked.confirm)
        for seed in asked.seeds:
            for name in asked.settings:
                with file.open(newline="") as rows:
                    done = {(row["sky"], row["setting"], row["seed"]) for row in csv.DictReader(rows)}
                if (str(sky), name, str(seed)) not in done:
                    row = {"sky": sky, "setting": name, "seed": seed} | train(of_sky, name, seed)
                    with file.open("a", newline="") as rows:
                        csv.DictWriter(rows, COLUMNS).writerow(row)
                    print(row, flush=True)
    summarise(file)


if __name__ == "__main__":
    main()
