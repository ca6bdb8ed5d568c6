"""Certified rounds on images of known truth: whether the bounds are kept, and what it costs to promote less.

A survey is simulated, five rounds promote by the policy `certified` (recipe certified), and five by `top_k` (recipe
demo) on a copy of the workspace: the same network, seed and sky. Each certified batch, which is all that a certificate
of the whole pool covers, is held against the truth, which the rounds never saw. Then the two policies' networks of each
round are compared on FO as DES sees it, galaxy by galaxy.

The pool has no faulty stamps: a certificate is about what the calibration galaxies stand for, and none of these is a
blend. There are more calibration galaxies than anybody would label by hand, because 5 per cent, promised of two classes
in five rounds together, cannot be shown with fewer than 104 of each class without an error.

    python scripts/study/certified_images.py [--seeds 1] [--rounds 5] [--np 2] [--training 700] [--pool 1100] [--fo 300]
                                   [--calibration 1600] [--folder KEEP]

A run that found nothing to promote or retract has ended; its last network stands for the rounds that did not come.
With several seeds the interval that counts is over them. Exits with 1 if a batch has more wrong labels than its bound,
or if FO accuracy after the last certified round is below that of top_k by more than chance: the interval of the
difference ends below 0.
"""

import argparse
import contextlib
import csv
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.stats import binom_conf_interval
from scipy.stats import binomtest

from catbuilder.catalogue.connection import fetch_arrow, first_row
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import Recipe, load_recipe
from catbuilder.core.resources import query
from catbuilder.rounds.gains_over_seeds import gain_interval
from catbuilder.rounds.run import run_rounds
from catbuilder.simulation.galaxies import SurveyPlan
from catbuilder.simulation.survey import simulate

RECIPES = {"certified": "certified", "top_k": "demo"}  # by policy
Truth = dict[int, str]  # class of every DES object
Bools = npt.NDArray[np.bool_]

PROMOTED = (
    "SELECT round, label AS class, object_id FROM labels WHERE source = 'promoted' AND kind = 'label' ORDER BY event"
)
CERTIFIED = "SELECT * FROM certificates WHERE verdict = 'certified' AND batch > 0 ORDER BY round, class"
COVERED = "SELECT predicted_label, object_id FROM covered_at($round, 'des')"
REFUSED = "SELECT round, class, reason FROM certificates WHERE verdict <> 'certified' ORDER BY round, class"
STANDING = "SELECT object_id, label AS class FROM standing_labels_at() WHERE source = 'promoted'"
ON_FO = """
    SELECT p.round, p.object_id, p.predicted_label = t.truth AS is_right
    FROM predictions AS p JOIN test_sets AS t ON t.survey = p.survey AND t.object_id = p.object_id
    WHERE t.test_set = 'FO' AND t.survey = 'des' ORDER BY p.round, p.object_id"""


@dataclass(frozen=True)
class Batch:
    """What one round promoted of a class; what a certificate says of it is None where the policy gives none.

    `covered` and `wrong` count all that the certificate covers; without one, what was promoted.
    """

    round: int
    name: str
    promoted: int
    covered: int
    wrong: int
    row: dict[str, Any]

    @property
    def is_broken(self) -> bool:
        """More wrong labels than were promised."""
        return self.row["batch_errors"] is not None and self.wrong > self.row["batch_errors"]


@dataclass(frozen=True)
class Paired:
    """Accuracy of two networks on the same galaxies, second less first, with its 95 per cent interval."""

    first: float
    second: float
    low: float
    high: float
    p_value: float

    @property
    def difference(self) -> float:
        return self.second - self.first


def main() -> int:
    """Run the study; 0 where every bound holds and certifying costs no accuracy."""
    options = _options()
    started, broken, gains = time.monotonic(), 0, []
    for seed in range(options.seeds):
        with _kept(options.folder, seed) as folder:
            more, last = study(folder, seed, options)
        broken += more
        gains.append(last.difference)
    highest = last.high
    if options.seeds > 1:
        mean, low, high = (100 * float(value[0]) for value in gain_interval(np.array(gains)[:, None]))
        print(f"\nOver {options.seeds} seeds: {mean:+.1f} points, 95 % {low:+.1f} to {high:+.1f} (Student's t).")
        highest = high
    print(f"\n{broken} batches have more wrong labels than their bound. {time.monotonic() - started:.0f} s.")
    return 1 if broken or highest < 0 else 0


def study(folder: Path, seed: int, options: argparse.Namespace) -> tuple[int, Paired]:
    """One seed: run both policies and print the tables; batches with too many wrong, and the last rounds compared."""
    plan = SurveyPlan(training=options.training, hp=0, fo=options.fo, calibration=options.calibration,
                      pool=options.pool, faults=0)  # fmt: skip
    if not (folder / "top_k").exists():
        _tell(f"seed {seed}: simulating {plan.training + 2 * plan.fo + plan.calibration + plan.pool} stamps")
        simulate(folder / "certified", plan, seed=seed, reporter=Reporter())
        shutil.copytree(folder / "certified", folder / "copy", dirs_exist_ok=True)
        (folder / "copy").rename(folder / "top_k")
    truth = read_truth(folder / "certified" / "sources" / "truth.csv")
    right: dict[str, dict[int, Bools]] = {}
    broken = 0
    for policy, recipe in RECIPES.items():
        workspace = Workspace.open(folder / policy)
        _tell(f"seed {seed}: {policy}")
        _run(workspace, load_recipe(recipe), options, seed)
        batches = batches_of(workspace, truth)
        print(f"\nSeed {seed}, {policy}\n\n{_batch_table(batches)}")
        print(f"\n{_standing(workspace, truth)}{_refusals(workspace)}")
        broken += sum(batch.is_broken for batch in batches)
        right[policy] = right_on_fo(workspace)
    print(f"\nSeed {seed}, accuracy on FO as DES sees it ({options.fo} galaxies)\n")
    print("| round | top_k | certified | certified - top_k | 95 % | McNemar p |\n|---|---|---|---|---|---|")
    rounds = range(1, max(max(found) for found in right.values()) + 1)
    for number in rounds:
        last = compare(*(right[policy][min(number, max(right[policy]))] for policy in ("top_k", "certified")))
        print(f"| {number} | {_percent(last.first)} | {_percent(last.second)} | {100 * last.difference:+.1f} | "
              f"{100 * last.low:+.1f} to {100 * last.high:+.1f} | {last.p_value:.3f} |")  # fmt: skip
    return broken, last


def read_truth(file: Path) -> Truth:
    """Class of every DES object of the simulation."""
    with open(file, encoding="utf-8", newline="") as lines:
        return {int(row["object_id"]): row["label"] for row in csv.DictReader(lines) if row["survey"] == "des"}


def batches_of(workspace: Workspace, truth: Truth) -> list[Batch]:
    """Every round's batches by class, with how many objects of them are wrong."""
    covered: dict[tuple[int, str], list[int]] = {}
    with workspace.reading() as con:
        rows = fetch_arrow(con, PROMOTED).to_pylist()
        certified = fetch_arrow(con, CERTIFIED).to_pylist()
        for number in {row["round"] for row in certified}:
            for name, object_id in con.execute(COVERED, {"round": number}).fetchall():
                covered.setdefault((number, name), []).append(object_id)
    promoted: dict[tuple[int, str], list[int]] = {}
    for row in rows:
        promoted.setdefault((row["round"], row["class"]), []).append(row["object_id"])
    said: dict[tuple[int, str], dict[str, Any]] = {(row["round"], row["class"]): row for row in certified}
    found = []
    for key in sorted(promoted.keys() | said.keys()):
        new = promoted.get(key, [])
        members = covered.get(key, new)
        wrong = sum(truth[object_id] != key[1] for object_id in members)
        found.append(Batch(*key, len(new), len(members), wrong, said.get(key, {"batch_errors": None})))
    return found


def right_on_fo(workspace: Workspace) -> dict[int, Bools]:
    """Of each round's network, whether it is right about each FO galaxy in DES, in the order of their ids."""
    with workspace.reading() as con:
        rows = con.execute(ON_FO).fetchall()
    return {
        number: np.array([is_right for other, _, is_right in rows if other == number], bool)
        for number in {row[0] for row in rows}
    }


def compare(first: Bools, second: Bools) -> Paired:
    """Difference of two proportions on the same objects: Newcombe (1998, method 10), and McNemar's exact test."""
    n = len(first)
    both, only_first = int((first & second).sum()), int((first & ~second).sum())
    only_second, neither = int((second & ~first).sum()), int((~first & ~second).sum())
    p, q = float(first.mean()), float(second.mean())
    (p_low, p_high), (q_low, q_high) = (binom_conf_interval(int(x.sum()), n, 0.95, "wilson") for x in (first, second))
    determinant = float(both * neither - only_first * only_second)
    if determinant > 0:  # the correction for continuity is part of method 10
        determinant = max(determinant - n / 2, 0.0)
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    phi = determinant / np.sqrt(float(margins)) if margins else 0.0
    down = np.sqrt((q - q_low) ** 2 - 2 * phi * (q - q_low) * (p_high - p) + (p_high - p) ** 2)
    up = np.sqrt((q_high - q) ** 2 - 2 * phi * (q_high - q) * (p - p_low) + (p - p_low) ** 2)
    differ = only_first + only_second
    chance = float(binomtest(only_second, differ).pvalue) if differ else 1.0
    return Paired(p, q, q - p - float(down), q - p + float(up), chance)


def _run(workspace: Workspace, recipe: Recipe, options: argparse.Namespace, seed: int) -> None:
    """Run what is missing of the rounds; a run that found nothing more to do has ended."""
    with workspace.reading() as con:
        done, step, found_nothing = first_row(con, query("rounds/last_round")) or (0, "closed", False)
    left = options.rounds - done + (step != "closed")
    if left > 0 and not found_nothing:
        run_rounds(workspace, left, recipe, ranks=options.np, seed=seed, reporter=Reporter())


def _batch_table(batches: list[Batch]) -> str:
    lines = [
        "| round | class | newly promoted | covered | wrong | bound | alpha | threshold | errors / counted | purity |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for batch in batches:
        row = batch.row
        vouched = "- | - | - | -"
        if row["batch_errors"] is not None:
            bound = f"{row['batch_errors']}{' BROKEN' if batch.is_broken else ''}"
            vouched = f"{bound} | {row['alpha']:.0%} | {row['threshold']:.4f} | {row['errors']} / {row['n']}"
        purity = _percent(1 - batch.wrong / batch.covered)
        counts = f"{batch.promoted} | {batch.covered} | {batch.wrong}"
        lines.append(f"| {batch.round} | {batch.name} | {counts} | {vouched} | {purity} |")
    return "\n".join(lines)


def _standing(workspace: Workspace, truth: Truth) -> str:
    """What of the promotions stands in the end."""
    with workspace.reading() as con:
        rows = con.execute(STANDING).fetchall()
        retracted = con.execute("SELECT count(*) FROM labels WHERE kind = 'retraction'").fetchall()[0][0]
    if not rows:
        return "No promoted label stands."
    wrong = sum(truth[object_id] != name for object_id, name in rows)
    purity = _percent(1 - wrong / len(rows))
    return f"{len(rows)} promoted labels stand, {wrong} of them wrong (purity {purity}); {retracted} were taken back."


def _refusals(workspace: Workspace) -> str:
    with workspace.reading() as con:
        rows = con.execute(REFUSED).fetchall()
    return "".join(f"\nRound {number} refused {name}: {reason}." for number, name, reason in rows)


@contextlib.contextmanager
def _kept(folder: Path | None, seed: int) -> Iterator[Path]:
    """A folder for one seed, kept where the user names one."""
    if folder is not None:
        kept = folder / f"seed-{seed}"
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Certified rounds against top_k on a simulated survey.")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--np", type=int, default=2, help="processes that train together")
    parser.add_argument("--training", type=int, default=700, help="SDSS galaxies with a label")
    parser.add_argument("--pool", type=int, default=1100, help="DES galaxies to be labelled")
    parser.add_argument("--fo", type=int, default=300, help="galaxies to test on")
    parser.add_argument("--calibration", type=int, default=1600, help="DES galaxies with a label")
    parser.add_argument("--folder", type=Path, help="keep the workspaces here, and go on with what is there")
    return parser.parse_args()


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _tell(text: str) -> None:
    Reporter().say(f"== {text}")


if __name__ == "__main__":
    sys.exit(main())
