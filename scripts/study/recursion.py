"""Does recursion pay? Rounds on simulated skies, against a control of the same compute; docs/recursion-protocol.md.

Every sky is simulated once. The first round is the same for all arms; then each arm goes on in a copy of its own. The
control trains as often and as long, on labelled images alone, and promotes nothing; nobody answers in it.
A row is appended to `recursion.csv` for each round and set of galaxies, so that calls add up: the same command goes on
where it was cut short, and two processes may share a folder, one sky each.

    python scripts/study/recursion.py screen FOLDER [--skies 110 111] [--arms hard80 ...]
    python scripts/study/recursion.py confirm FOLDER [--skies 202 203 ...] [--labelled 1000] [--answers 10]
    python scripts/study/recursion.py tell FOLDER [--labelled 1000] [--answers 10]

`screen` judges on the true classes of the pool and scores no test set. `confirm` runs the control and the recipe `demo`
(or the arms that are named), and measures FO. `tell` prints what is there; like `confirm` it exits with 1 where a
promise of the protocol is broken.
"""

import argparse
import csv
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

from catbuilder.active_learning.answers import import_labels
from catbuilder.active_learning.select_objects import select_objects
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import Recipe, load_recipe
from catbuilder.rounds.run import run_rounds
from catbuilder.simulation.galaxies import SurveyPlan
from catbuilder.simulation.survey import simulate

ROUNDS = 3
TEACHING = ("teaching.source=pool", "teaching.surest=0.8", "teaching.images=1200")
BALANCED = ("teaching.source=pool", "teaching.balanced=true", "teaching.surest=1.0")
ARMS: dict[str, tuple[str, ...]] = {
    "control": ("promotion.policy=none",),
    "demo": (),  # as shipped: labels and people's answers alone train, so that without answers it is the control
    "balanced": (*BALANCED, "teaching.least=0.7"),
    "balanced 0.9": (*BALANCED, "teaching.least=0.9"),
    "hard80": TEACHING,
    "soft80": (*TEACHING, "teaching.target=soft"),
    "hard80 unshifted": (*TEACHING, "augmentation.shift_target=false"),
    "hard50": (*TEACHING, "teaching.surest=0.5"),
    "top_k": (),
}
CHOSEN = "demo"
COLUMNS = (
    "sky", "labelled", "answers", "arm", "round", "set", "n", "accuracy", "balanced", "auc", "log_loss", "elliptical",
    "spiral",
)  # fmt: skip
WRONG_ANSWERS = 0.05  # share of the simulated answers that are wrong


def recipe_of(arm: str) -> Recipe:
    """Give the recipe of an arm: the demo's, with the arm's own settings."""
    recipe = load_recipe("demo", ARMS[arm])
    return recipe.model_copy(update={"teaching": None}) if arm == "top_k" else recipe  # promoted labels train


def simulated(folder: Path, sky: int, labelled: int, fo: int) -> Workspace:
    """Simulate a sky, unless it is there."""
    place = folder / f"sky-{sky}-{labelled}"
    plan = SurveyPlan(training=labelled, hp=20, fo=fo, calibration=150, pool=1400, faults=0)
    simulate(place / "start", plan, seed=sky, processes=1)
    return Workspace.open(place / "start")


def copy_of(source: Workspace, name: str) -> Workspace:
    """Copy a workspace to a sibling, unless it is there; the stamps are linked."""
    place = source.path.parent / name
    if not place.exists():
        draft = place.with_name(f".{name}")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(source.path, draft, ignore=shutil.ignore_patterns("stamps", "sources", "*.lock"))
        for shared in ("stamps", "sources"):
            if (source.path / shared).exists():
                (draft / shared).symlink_to(f"../start/{shared}")
        draft.rename(place)
    return Workspace.open(place)


def closed_rounds(workspace: Workspace) -> int:
    with workspace.reading() as con:
        ((number,),) = con.execute("SELECT count(*) FROM round_status WHERE step = 'closed'").fetchall()
    return int(number)


def answer(workspace: Workspace, n: int, seed: int) -> None:
    """Answer the n most doubtful objects of the pool, of which some wrongly."""
    truth = {row["object_id"]: row["label"] for row in true_classes(workspace).to_pylist()}
    asked = select_objects(workspace, "margin", n, survey="des")["object_id"].to_pylist()
    rng = np.random.default_rng([seed, closed_rounds(workspace)])
    other = {"spiral": "elliptical", "elliptical": "spiral"}
    file = workspace.path / f"answers-{closed_rounds(workspace)}.csv"
    with file.open("w", newline="") as rows:
        writer = csv.writer(rows)
        writer.writerow(("object_id", "survey", "label", "source", "annotator"))
        for object_id in asked:
            label = truth[object_id]
            label = other.get(label, label) if rng.random() < WRONG_ANSWERS else label
            writer.writerow((object_id, "des", label, "human", "simulated"))
    import_labels(workspace, file)


def true_classes(workspace: Workspace) -> pa.Table:
    return pa.csv.read_csv(workspace.path / "sources" / "truth.csv").select(["object_id", "label"])


def measured(workspace: Workspace, number: int, sets: dict[str, str]) -> list[dict[str, object]]:
    """Compare what stands in the catalogue after a round with the true classes, for each set of galaxies."""
    truth = true_classes(workspace)
    rows: list[dict[str, object]] = []
    for name, where in sets.items():
        with workspace.reading() as con:
            con.register("truth", truth)
            found = con.execute(
                "SELECT t.label = 'spiral' AS truth, c.p_spiral FROM catalog_at(?) AS c JOIN truth AS t "
                f"ON t.object_id = c.object_id WHERE {where} AND t.label IN ('spiral', 'elliptical') "
                "AND c.p_spiral IS NOT NULL",
                [number],
            ).fetchnumpy()
        spiral, posterior = found["truth"].astype(bool), found["p_spiral"].astype(float)
        called = posterior > 0.5
        rows.append(
            {
                "round": number, "set": name, "n": len(spiral), "accuracy": float(np.mean(called == spiral)),
                "balanced": float(balanced_accuracy_score(spiral, called)),
                "auc": float(roc_auc_score(spiral, posterior)),
                "log_loss": float(log_loss(spiral, posterior.clip(1e-6, 1 - 1e-6))),
                "elliptical": float(np.mean(~called[~spiral])), "spiral": float(np.mean(called[spiral])),
            }
        )  # fmt: skip
    return rows


POOL = {"pool": "c.survey = 'des' AND c.split = 'pool' AND c.test_set IS NULL"}
FO = {f"FO {s}": f"c.survey = '{s}' AND c.test_set = 'FO'" for s in ("des", "sdss")}


def run(folder: Path, sky: int, arms: list[str], labelled: int, answers: int, fo: int, sets: dict[str, str]) -> None:
    """Run the rounds of a sky's arms that are missing, and record what they reached."""
    file, reporter = folder / "recursion.csv", Reporter(quiet=True)
    if not file.exists():
        file.write_text(",".join(COLUMNS) + "\n")
    start = simulated(folder, sky, labelled, fo)
    first = copy_of(start, "first")
    if not closed_rounds(first):
        run_rounds(first, 1, recipe_of(CHOSEN), ranks=1, seed=sky, reporter=reporter)
    for arm in arms:
        own = answers if arm != "control" else 0
        place = f"{arm.replace(' ', '-')}-{own}"
        workspace = copy_of(start if arm == "top_k" else first, place)
        while (done := closed_rounds(workspace)) < ROUNDS:
            if own and done:
                answer(workspace, own, sky)
            run_rounds(workspace, 1, recipe_of(arm), ranks=1, seed=sky, reporter=reporter)
        with file.open(newline="") as rows:
            known = {
                tuple(row[k] for k in ("sky", "labelled", "answers", "arm", "round", "set"))
                for row in csv.DictReader(rows)
            }
        for number in range(1, ROUNDS + 1):
            place_of = {"sky": sky, "labelled": labelled, "answers": own, "arm": arm}
            fresh = {n: w for n, w in sets.items() if (*map(str, place_of.values()), str(number), n) not in known}
            for row in measured(workspace, number, fresh):
                with file.open("a", newline="") as rows:
                    csv.DictWriter(rows, COLUMNS).writerow(place_of | row)
                print(place_of | row, flush=True)


def read(folder: Path, labelled: int) -> dict[tuple[int, int, str, int, str], dict[str, float]]:
    """Read the rows by sky, answers, arm, round and set."""
    with (folder / "recursion.csv").open(newline="") as rows:
        return {
            (int(r["sky"]), int(r["answers"]), r["arm"], int(r["round"]), r["set"]): {
                k: float(r[k]) for k in COLUMNS[6:]
            }
            for r in csv.DictReader(rows)
            if int(r["labelled"]) == labelled
        }


def interval(gains: np.ndarray) -> tuple[float, float, float]:
    """Mean of paired gains and Student's t interval at 95 per cent; without ends for one pair."""
    mean = float(np.mean(gains))
    if len(gains) < 2:
        return mean, -np.inf, np.inf
    half = float(stats.t.ppf(0.975, len(gains) - 1) * stats.sem(gains))
    return mean, mean - half, mean + half


def tell(folder: Path, labelled: int, answers: int) -> bool:
    """Print each arm's gain over the control, and whether the promises of the protocol hold."""
    found = read(folder, labelled)
    arms = sorted({(arm, own) for _, own, arm, _, _ in found})
    for name in sorted({key[4] for key in found}):
        print(
            f"\n{name}: accuracy in per cent, mean of skies after rounds 1 to {ROUNDS}; last round minus the control's"
        )
        for arm, own in arms:
            skies = sorted({k[0] for k in found if k[1:3] == (own, arm) and k[3] == ROUNDS and k[4] == name})
            both = [s for s in skies if (s, 0, "control", ROUNDS, name) in found]
            if not both:
                continue
            curve = [
                100 * np.mean([found[s, own, arm, r, name]["accuracy"] for s in both]) for r in range(1, ROUNDS + 1)
            ]
            text = f"  {arm + (f' + {own} answers' if own else ''):26} " + " ".join(f"{value:5.1f}" for value in curve)
            for what, unit in (("accuracy", 100), ("balanced", 100), ("auc", 100)):
                gains = unit * np.array(
                    [found[s, own, arm, ROUNDS, name][what] - found[s, 0, "control", ROUNDS, name][what] for s in both]
                )
                text += "   {} {:+.2f} [{:+.2f}, {:+.2f}]".format(what, *interval(gains))
            print(f"{text}   {len(both)} skies")
    return promises_hold(found, answers)


def promises_hold(found: dict[tuple[int, int, str, int, str], dict[str, float]], answers: int) -> bool:
    """Judge the promises about FO; print one line."""
    skies = sorted({k[0] for k in found if k[1:3] == (answers, CHOSEN) and k[3:] == (ROUNDS, "FO des")})
    skies = [s for s in skies if (s, 0, "control", ROUNDS, "FO des") in found]
    if not skies:
        return True
    mine = {
        (s, number, name): 100 * found[s, answers, CHOSEN, number, name]["accuracy"]
        for s in skies for number in (1, ROUNDS) for name in FO
    }  # fmt: skip
    control = {(s, name): 100 * found[s, 0, "control", ROUNDS, name]["accuracy"] for s in skies for name in FO}
    mean, low, high = interval(np.array([mine[s, ROUNDS, "FO des"] - control[s, "FO des"] for s in skies]))
    _, low_sdss, _ = interval(np.array([mine[s, ROUNDS, "FO sdss"] - control[s, "FO sdss"] for s in skies]))
    worst = min(mine[s, ROUNDS, "FO des"] - mine[s, 1, "FO des"] for s in skies)
    least = 1.5 if answers else 1.0
    kept = mean >= least and low > 0 and low_sdss >= -1.5 and worst >= -1.0
    print(
        f"\n{'kept' if kept else 'BROKEN'}: FO DES, gain over the control {mean:+.2f} points [{low:+.2f}, {high:+.2f}] "
        f"on {len(skies)} skies (promised {least:+.1f}); FO SDSS not below {low_sdss:+.2f} (-1.5); worst sky "
        f"since round 1 {worst:+.2f} (-1.0)"
    )
    return kept


def main() -> None:
    """Run what is asked for, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phase", choices=("screen", "confirm", "tell"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--skies", type=int, nargs="*")
    parser.add_argument("--arms", nargs="*", choices=list(ARMS))
    parser.add_argument("--labelled", type=int, default=1000)
    parser.add_argument("--answers", type=int, default=0)
    asked = parser.parse_args()
    if asked.phase == "tell" and not (asked.folder / "recursion.csv").is_file():
        parser.error(f"{asked.folder} has no recursion.csv yet; run screen or confirm first")
    asked.folder.mkdir(parents=True, exist_ok=True)
    for sky in asked.skies or {"screen": range(110, 114), "confirm": range(202, 214), "tell": ()}[asked.phase]:
        if asked.phase == "screen":
            run(asked.folder, sky, asked.arms or list(ARMS), asked.labelled, asked.answers, 20, POOL)
        else:
            run(asked.folder, sky, asked.arms or ["control", CHOSEN], asked.labelled, asked.answers, 1000, POOL | FO)
    sys.exit(0 if tell(asked.folder, asked.labelled, asked.answers) else 1)


if __name__ == "__main__":
    main()
