"""How many labels does recursion save? Accuracy against number of labels, with recursion and without.

Of one survey so many labelled galaxies are drawn (`draw_labels.py`), and the rounds are run in a copy that has no other
label. The first round is the same for all arms. Then each arm goes on in a copy of its own: `without` is the control,
which trains as many steps on the labels alone and promotes nothing (`catbuilder.control_of`); in `taught` the surest of
the pool teach; in `promoted` the promoted labels join the others, as in the paper. Seed s has the draw s.

    python scripts/study/labels.py FOLDER --real DATA [--labels 50 200 all] [--seeds 0 1 2] [--arms without taught]
    python scripts/study/labels.py FOLDER --simulated [--sky 230]
    python scripts/study/labels.py FOLDER --real DATA --seeds-only [--labels 200] [--seeds 0 1 2 3 4]
    python scripts/study/labels.py FOLDER --tell [--picture]

Rows are appended to `labels.csv` as soon as an arm is measured, so that the same command goes on where it was cut
short; two processes may share a folder, each takes the runs that no other is at. What speaks is measured, after the
first round and after the third: in the real survey (`scripts/real_galaxies.sh DATA`, the same draws as its LABELLED and
SEED) on HP, FO in SDSS, the DECam images with labels, and the SDSS galaxies that the whole set of labels would validate
with: these are the same ones for every number of labels; in the simulated one (1,600 labelled galaxies) on 1,000 FO
galaxies in DES. Each run is a look at these sets.

`--seeds-only` runs the first round alone, with other seeds but the labels of draw 0: how far a seed by itself moves it.
`--tell` prints the tables as Markdown and draws a figure a survey into FOLDER, with --picture also into docs/pictures.

What it costs: a run has seven rounds (five without `promoted`). A round of the real survey with 200 labels took 4.5
minutes on two busy cores, 3.5 of them to score 4,987 images in four turns each; `--recipe real:scoring.symmetries=1`
scores them once. A folder is for one recipe. A copy of the real survey takes 35 MB and 15 MB more for each further
round, and four of them stay for each run, to look further with.
"""

import argparse
import csv
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from draw_labels import draw
from matplotlib.figure import Figure
from recursion import closed_rounds, copy_of, interval

from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.catalogue.label_events import EVENTS, record_events
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import WorkspaceBusy
from catbuilder.core.files import append_line, exclusive_lock
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import Recipe, Teaching
from catbuilder.rounds.arms import control_of, load_arm
from catbuilder.rounds.run import run_rounds
from catbuilder.sets.firewall import update_firewall
from catbuilder.sets.training_manifest import choose_training
from catbuilder.simulation.galaxies import SurveyPlan
from catbuilder.simulation.survey import simulate

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 3
LABELS = ("50", "100", "200", "400", "800", "all")
ARMS = ("without", "taught", "promoted")
COLUMNS = ("survey", "labels", "draw", "seed", "arm", "round", "set", "n", "accuracy")
SETS = {
    "real": ("HP des", "HP sdss", "FO sdss", "validation sdss", "validation decals"),
    "simulated": ("FO des",),
}
MEAN = "mean of the sets"
Key = tuple[int, int, int, str, int, str]  # labels, draw, seed, arm, round, set


@dataclass(frozen=True)
class Bed:
    """A survey with all its labels, and what is measured in it."""

    name: str
    start: Workspace
    recipe: Recipe  # in which the pool teaches
    sets: tuple[str, ...]  # each a test set, or `validation`, and a survey
    labels: Mapping[int, str]  # galaxies that may train, or validate
    validation: Mapping[int, str]  # those of them that validate if all are labelled

    @property
    def folder(self) -> Path:
        return self.start.path.parent

    def recipe_of(self, arm: str) -> Recipe:
        """Give the recipe of an arm's rounds after the first."""
        if arm == "without":
            return control_of(self.recipe)
        return self.recipe.model_copy(update={"teaching": None}) if arm == "promoted" else self.recipe


def with_pool(recipe: Recipe) -> Recipe:
    """Let the pool teach in a recipe."""
    teaching = (recipe.teaching or Teaching()).model_copy(update={"source": "pool"})
    return recipe.model_copy(update={"teaching": teaching})


def build_real(folder: Path, data: Path, recipe: str) -> None:
    """Assemble the real survey with all its labels, unless it is there."""
    place = folder / "real" / "start"
    if not (folder / "real" / "assembled").exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "ROUNDS": "0", "RECIPE": recipe, "LABELLED": "all", "SEED": "0"}
        script = str(ROOT / "scripts/real_galaxies.sh")  # executable, so that no shell is looked for
        subprocess.run([script, data, place], check=True, env=environment)
        (folder / "real" / "assembled").touch()


def build_simulated(folder: Path, sky: int) -> None:
    """Simulate a survey, unless it is there."""
    plan = SurveyPlan(training=1600, hp=20, fo=1000, calibration=150, pool=1400, faults=0)
    simulate(folder / "simulated" / "start", plan, seed=sky, processes=1)


def bed(folder: Path, name: str, recipe: Recipe, sets: Sequence[str]) -> Bed:
    """Read which galaxies of a survey are labelled and which of them would validate, behind the firewall."""
    start, survey = Workspace.open(folder / name / "start"), recipe.sets.labelled
    with exclusive_lock(folder / name / "bed.lock", f"{folder / name} is being prepared"):
        update_firewall(
            start, recipe.firewall.radius_arcsec
        )  # it has found everything already, if this was done before
    with start.reading() as con:
        known = con.execute(
            "SELECT object_id, label FROM catalog WHERE survey = ? AND split = 'train' AND label IS NOT NULL "
            "AND source <> 'promoted' AND quality IS NOT NULL",
            [survey],
        ).fetchall()
        choose_training(start, con, 1, recipe)
        manifest = fetch_arrow(con, "SELECT * FROM temp.training_rows").to_pylist()
    validation = {r["object_id"]: r["class"] for r in manifest if (r["role"], r["survey"]) == ("validation", survey)}
    return Bed(name, start, with_pool(recipe), tuple(sets), dict(known), validation)


def take_back(workspace: Workspace, survey: str, others: Iterable[int]) -> None:
    """Take back the labels of the galaxies that were not drawn."""
    with workspace.recording("labels that were not drawn") as recording:
        recording.con.register("others", pa.table({"object_id": pa.array(others, pa.int64())}))
        text = """
            SELECT l.survey, l.object_id, 'retraction' AS kind, l.label, l.confidence, l.source, l.annotator, l.model,
                   l.certificate, 'not among the labels that were drawn' AS reason, l.event AS retracts
            FROM standing_labels_at() AS l SEMI JOIN others AS o ON o.object_id = l.object_id
            WHERE l.survey = $survey ORDER BY l.event
        """
        record_events(recording, fetch_arrow(recording.con, text, {"survey": survey}).cast(EVENTS))


def measured(bed: Bed, workspace: Workspace, number: int) -> dict[str, tuple[int, float]]:
    """Measure what speaks after a round: number of galaxies and accuracy by set."""
    survey = bed.recipe.sets.labelled
    of_sets = """
        SELECT test_set || ' ' || survey, n, value FROM metrics
        WHERE round = speaker_at(?) AND metric = 'accuracy' AND coverage = 1 AND variable IS NULL AND truth = 'debiased'
    """
    of_validation = """
        SELECT count(*), avg((c.predicted_label = k.label)::INT) FROM catalog_at(?) AS c
        JOIN known AS k ON k.object_id = c.object_id
        ANTI JOIN (SELECT object_id FROM training WHERE survey = ? AND role <> 'validation') AS t
            ON t.object_id = c.object_id
        WHERE c.survey = ? AND c.predicted_label IS NOT NULL
    """
    with workspace.reading() as con:
        found = {name: (n, accuracy) for name, n, accuracy in con.execute(of_sets, [number]).fetchall()}
        known = {"object_id": pa.array(bed.validation, pa.int64()), "label": list(bed.validation.values())}
        con.register("known", pa.table(known))
        ((n, accuracy),) = con.execute(of_validation, [number, survey, survey]).fetchall()
    found[f"validation {survey}"] = (n, accuracy)
    return {name: (int(found[name][0]), float(found[name][1])) for name in bed.sets}


def run(
    bed: Bed,
    chosen: Set[int],
    drawn: int,
    seed: int,
    arms: Sequence[str],
    file: Path,
    ranks: int = 1,
    rounds: int = ROUNDS,
) -> None:
    """Run the missing rounds of a seed on the labels of a draw; leave them if another process is at them."""
    n = len(chosen)
    place, reporter = f"{n}-{drawn}-{seed}", Reporter(quiet=True)
    try:
        with exclusive_lock(bed.folder / f"{place}.lock", f"{place} is under way"):
            known = {key[:5] for key in read(file).get(bed.name, {})}
            first = copy_of(bed.start, f"{place}-first")
            if not closed_rounds(first):
                take_back(first, bed.recipe.sets.labelled, sorted(bed.labels.keys() - chosen))
                run_rounds(first, 1, bed.recipe, ranks=ranks, seed=seed, reporter=reporter)
            for arm, last in [("first", 1), *((arm, rounds) for arm in arms)]:
                if (n, drawn, seed, arm, last) in known:
                    continue
                workspace = first if arm == "first" else copy_of(first, f"{place}-{arm}")
                while closed_rounds(workspace) < last:
                    run_rounds(workspace, 1, bed.recipe_of(arm), ranks=ranks, seed=seed, reporter=reporter)
                rows = [
                    ",".join(map(str, (bed.name, n, drawn, seed, arm, last, name, galaxies, f"{accuracy:.5f}")))
                    for name, (galaxies, accuracy) in measured(bed, workspace, last).items()
                ]
                append_line(file, "\n".join(rows))  # at once, so that a run is there as a whole or not at all
                print(*rows, sep="\n", flush=True)
    except WorkspaceBusy as busy:
        print(busy, file=sys.stderr)


def read(file: Path) -> dict[str, dict[Key, float]]:
    """Read accuracies in per cent by survey, and add the mean over the sets of each measured round."""
    found: dict[str, dict[Key, float]] = {}
    with file.open(newline="") as rows:
        for r in csv.DictReader(rows):
            key = (int(r["labels"]), int(r["draw"]), int(r["seed"]), r["arm"], int(r["round"]), r["set"])
            found.setdefault(r["survey"], {})[key] = 100 * float(r["accuracy"])
    for of_survey in found.values():
        sets = {key[5] for key in of_survey}
        for place in {key[:5] for key in of_survey}:
            values = [of_survey[*place, name] for name in sets if (*place, name) in of_survey]
            if len(sets) > 1 and len(values) == len(sets):
                of_survey[*place, MEAN] = float(np.mean(values))
    return found


def values_of(found: Mapping[Key, float], labels: int, arm: str, name: str) -> dict[int, float]:
    """Give the accuracies of the runs whose labels were drawn by their seed, by seed."""
    return {
        seed: value
        for (n, drawn, seed, a, _, s), value in found.items()
        if (n, a, s) == (labels, arm, name) and drawn == seed
    }


def as_good_as(counts: Sequence[int], accuracies: Sequence[float], reached: float) -> str:
    """Say how many labels give an accuracy, by a curve that is made to rise and read between its counts."""
    rising = np.maximum.accumulate(accuracies)
    if reached < rising[0]:
        return f"fewer than {counts[0]}"
    if reached > rising[-1]:
        return f"more than {counts[-1]}"
    place = int(np.searchsorted(rising, reached))  # the first count that is good enough
    if place == 0 or rising[place] == reached:
        return str(counts[place])
    share = (reached - rising[place - 1]) / (rising[place] - rising[place - 1])
    return f"{np.exp(np.interp(share, [0, 1], np.log(counts[place - 1 : place + 1]))):.0f}"


def spread(values: Iterable[float]) -> str:
    """Write the mean of accuracies, and their standard deviation."""
    numbers = list(values)
    return f"{np.mean(numbers):.1f}" + (f" ± {np.std(numbers, ddof=1):.1f}" if len(numbers) > 1 else "")


def tables(found: Mapping[Key, float]) -> Iterable[str]:
    """Write a table for each set: accuracy by number of labels, gain over the control, its worth in labels."""
    counts, arms = sorted({key[0] for key in found}), [a for a in ARMS[1:] if any(key[3] == a for key in found)]
    for name in sorted({key[5] for key in found}, key=lambda s: (s == MEAN, s)):
        control = {n: values_of(found, n, "without", name) for n in counts}
        curve = [(n, float(np.mean(list(of_n.values())))) for n, of_n in control.items() if of_n]
        yield f"\n**{name}**, accuracy in per cent, mean and standard deviation over seeds and draws\n"
        columns = ["labels", "runs", "round 1", "without", *(c for a in arms for c in (a, "gain", "as good without"))]
        yield "| " + " | ".join(columns) + " |"
        yield "|---" * len(columns) + "|"
        for n in counts:
            first = values_of(found, n, "first", name)
            if not first:
                continue
            cells = [str(n), str(len(first)), spread(first.values()), spread(control[n].values()) if control[n] else ""]
            for arm in arms:
                own = values_of(found, n, arm, name)
                both = sorted(set(own) & set(control[n]))
                if not both:
                    cells += [""] * 3
                    continue
                mean, low, high = interval(np.array([own[s] - control[n][s] for s in both]))
                between = f" [{low:+.1f}, {high:+.1f}]" if len(both) > 1 else ""
                worth = as_good_as(*zip(*curve, strict=True), float(np.mean([own[s] for s in both])))
                cells += [spread(own.values()), f"{mean:+.1f}{between}", f"{worth} labels"]
            yield "| " + " | ".join(cells) + " |"


def spread_of_seeds(found: Mapping[Key, float]) -> Iterable[str]:
    """Tell how far a seed alone moves the first round: the runs with the labels of one draw."""
    for n, drawn in sorted({(key[0], key[1]) for key in found}):
        runs = {key[2] for key in found if key[:2] == (n, drawn) and key[3] == "first"}
        if len(runs) > 1:
            yield f"\nRound 1 with the same {n} labels (draw {drawn}), {len(runs)} seeds; accuracy in per cent:\n"
            for name in sorted({key[5] for key in found}, key=lambda s: (s == MEAN, s)):
                values = [found[n, drawn, seed, "first", 1, name] for seed in sorted(runs)]
                yield f"* {name}: {spread(values)} ({', '.join(f'{value:.1f}' for value in values)})"


def draw_curves(found: Mapping[Key, float], file: Path) -> None:
    """Draw accuracy against number of labels, a panel a set and a line an arm; bars are standard deviations."""
    names = sorted({key[5] for key in found}, key=lambda s: (s == MEAN, s))
    across = min(3, len(names))
    down = -(-len(names) // across)
    figure = Figure(figsize=(max(3.5, 2.4 * across), 2.3 * down + 0.4), layout="constrained", facecolor="white")
    panels = figure.subplots(down, across, squeeze=False).ravel()
    looks = {"without": ("#777777", "--", "o"), "taught": ("#0072b2", "-", "s"), "promoted": ("#d55e00", "-.", "^")}
    for panel, name in zip(panels, names, strict=False):
        for place, (arm, (colour, line, marker)) in enumerate(looks.items()):
            of_arm = {n: list(values_of(found, n, arm, name).values()) for n in sorted({key[0] for key in found})}
            points = [(n, np.mean(v), np.std(v, ddof=1) if len(v) > 1 else 0.0) for n, v in of_arm.items() if v]
            if points:
                n, mean, bar = np.array(points).T
                panel.errorbar(
                    n * 1.04 ** (place - 1), mean, bar, color=colour, linestyle=line, marker=marker, markersize=3,
                    linewidth=1, capsize=2, label="without recursion" if arm == "without" else arm,
                )  # fmt: skip
        panel.set(xscale="log", title=name)
        panel.set_xticks(sorted({key[0] for key in found}), [str(n) for n in sorted({key[0] for key in found})])
        panel.minorticks_off()
        panel.tick_params(labelsize=7)
        panel.title.set_fontsize(9)
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    panels[0].legend(fontsize=7)
    figure.supxlabel("labelled galaxies", fontsize=9)
    figure.supylabel("accuracy, per cent", fontsize=9)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)


def tell(folder: Path, picture: Path | None) -> None:
    """Print what was measured, and draw it into the folder and, if one is given, a folder of pictures."""
    for name, found in read(folder / "labels.csv").items():
        print(f"\n## {name.capitalize()} survey")
        print("\n".join([*tables(found), *spread_of_seeds(found)]))
        for place in (folder, picture):
            if place is not None and any(key[3] == "without" for key in found):
                draw_curves(found, place / f"labels-{name}.png")


def main() -> None:
    """Run what is asked for, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    survey = parser.add_mutually_exclusive_group(required=True)
    survey.add_argument("--real", type=Path, metavar="DATA", help="the folder that scripts/real_galaxies.sh takes")
    survey.add_argument("--simulated", action="store_true")
    survey.add_argument("--tell", action="store_true", help="run nothing")
    parser.add_argument("--labels", nargs="+", help=f"numbers, or all (default: {' '.join(LABELS)})")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument(
        "--seeds-only", action="store_true", help="the first round of other seeds, on the labels of draw 0"
    )
    parser.add_argument("--recipe", help="such as real:members=3 (default: real or, simulated, demo)")
    parser.add_argument("--sky", type=int, default=230, help="seed of the simulated survey")
    parser.add_argument("--np", type=int, default=1, help="processes that train together")
    parser.add_argument("--picture", action="store_true", help="with --tell: draw into docs/pictures too")
    asked = parser.parse_args()
    if asked.tell and not (asked.folder / "labels.csv").is_file():
        parser.error(f"{asked.folder} has no labels.csv yet; run the study first, with --simulated or --real DATA")
    if not asked.tell:
        asked.folder.mkdir(parents=True, exist_ok=True)
        file, name = asked.folder / "labels.csv", "simulated" if asked.simulated else "real"
        if not file.exists():
            file.write_text(",".join(COLUMNS) + "\n")
        recipe = asked.recipe or {"real": "real", "simulated": "demo"}[name]
        if asked.simulated:
            build_simulated(asked.folder, asked.sky)
        else:
            build_real(asked.folder, asked.real, recipe.partition(":")[0])
        of = bed(asked.folder, name, load_arm(recipe), SETS[name])
        for seed in asked.seeds:
            for text in asked.labels or (["200"] if asked.seeds_only else LABELS):
                drawn, arms = (0, []) if asked.seeds_only else (seed, asked.arms)
                try:
                    n = len(of.labels) if text == "all" else int(text)
                    chosen = set(of.labels) if n == len(of.labels) else draw(of.labels, n, drawn)
                except ValueError as error:
                    parser.error(f"--labels {text}: {error}")
                run(of, chosen, drawn, seed, arms, file, asked.np)
    tell(asked.folder, ROOT / "docs/pictures" if asked.picture else None)


if __name__ == "__main__":
    main()
