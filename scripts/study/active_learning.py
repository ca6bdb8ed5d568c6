"""Labels that people must give until a classifier is as good as a target, by whom they are asked about next.

Every stamp is seen once by a network: the recipe's backbone with its frozen starting weights, or, with --round, the
network of that round, whose kept features are read. On these features a head is trained anew as labels are added in
batches: principal components of the pool, and scikit-learn's logistic regression. All strategies of a seed begin with
the same labels drawn at random. `margin` and `mutual_information` (five heads on bootstrap samples) ask the head of the
moment; `typical` and `coverage` are the program's own functions; with two classes `entropy` ranks as `margin` does.
`random again` is a second random order: what it says differs from 1 by chance and by the method alone.

The target is the mean accuracy that `random` has with N labels. A strategy has reached it with the first batch from
which its accuracy, as the best rising curve through it (isotonic regression), is at least the target; the ratio is to
the labels that random of the same seed takes for the same.

The head is chosen before anything else, on validation galaxies alone: of those in TRIED the one with the highest mean
accuracy of random and of margin at the target's labels, over three seeds. Curves are kept for validation and for FO;
shown is what --on asks for, and what FO says is asked for last.

    python scripts/study/active_learning.py WORKSPACE [--on validation|FO] [--seeds 10] [--recipe demo] [--round 1]
                                   [--survey des] [--batch 20] [--labels 600] [--target 300] [--folder DIR] [--tune]

WORKSPACE: of `catbuilder simulate`, whose pool has known truth (its calibration galaxies validate), or of
scripts/real_galaxies.sh (--survey sdss --recipe real: the labelled SDSS galaxies are the pool, a fifth of them
validates). Results are appended to DIR (by default the workspace's folder `active`), a line a curve; the same command
goes on where it was cut short.
"""

import argparse
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from sklearn.decomposition import PCA
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from catbuilder.active_learning.diversity import choose_coverage, choose_typical
from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.catalogue.features import features_of
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.files import append_line, atomic_write, write_text
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import Recipe, load_recipe
from catbuilder.network.galaxy_network import build_network
from catbuilder.network.scorer import mutual_information
from catbuilder.network.starting_weights import load_starting_weights
from catbuilder.rounds.gains_over_seeds import gain_interval
from catbuilder.sets.firewall import read_stamps, update_firewall

STRATEGIES = ("random", "random again", "margin", "mutual_information", "typical", "coverage")
START = 20  # labels drawn at random before anything can be asked for
MEMBERS = 5  # heads of the committee

TRIED = [(components, penalty) for components in (32, 64, 128) for penalty in (0.01, 0.1, 1.0)]  # scikit-learn's C
TUNING_SEEDS = range(1000, 1003)  # none of those that are shown
JUDGED = ("validation", "FO")

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

IMAGES = """
    SELECT c.survey, c.object_id, c.split, s.shard, s.row, t.truth,
           CASE WHEN c.source <> 'promoted' THEN c.label END AS label,
           uniform_draw('study', c.survey, c.object_id) AS draw
    FROM catalog AS c
    JOIN standing_stamps_at() AS s ON s.survey = c.survey AND s.object_id = c.object_id
    LEFT JOIN (SELECT * FROM test_sets WHERE test_set = 'FO') AS t ON t.survey = c.survey AND t.object_id = c.object_id
    WHERE c.survey = $survey AND s.quality = 'ok' AND c.domain = 'in'
      AND (t.truth IS NOT NULL OR (c.test_set IS NULL AND c.firewall IS NULL))
    ORDER BY c.survey, c.object_id"""


@dataclass(frozen=True)
class Sample:
    """Features (n, d) and classes (n,) of some galaxies."""

    x: Floats
    y: Ints


def main() -> None:
    """Run what is missing and print the table."""
    options = _options()
    workspace = Workspace.open(options.workspace)
    folder = options.folder or workspace.path / "active"
    folder.mkdir(parents=True, exist_ok=True)
    with threadpool_limits(1):
        samples = embedded(workspace, folder, load_recipe(options.recipe), options)
        components, penalty = chosen_head(samples, folder, options)
        if options.tune:
            return
        samples = reduce_features(samples, components)
        curves = list(run(samples, folder, penalty, options))
        print("\n".join(table(curves, options, samples, penalty)))


def embedded(workspace: Workspace, folder: Path, recipe: Recipe, options: argparse.Namespace) -> dict[str, Sample]:
    """The samples 'pool', 'validation' and 'FO', from the features that an earlier call has left where it has."""
    file = folder / f"features-{options.survey}-{features_name(options)}.npz"
    if not file.exists():
        update_firewall(workspace, recipe.firewall.radius_arcsec)
        with workspace.reading() as con:
            images = fetch_arrow(con, IMAGES, {"survey": options.survey})
        roles, labels = roles_of(images, workspace)
        used = np.flatnonzero(roles != "")
        images = images.take(used)
        if options.round:
            x, known = features_of(workspace, options.round, images.select(["survey", "object_id"]))
            used = used[known]
        else:
            x = frozen_features(read_stamps(workspace, images), recipe)
        y = np.array([workspace.config.classes.index(labels[i]) for i in used], np.int64)
        with atomic_write(file) as temporary, open(temporary, "wb") as out:
            np.savez(out, x=x, y=y, roles=roles[used].astype("U10"))
    with np.load(file) as kept:
        x, y, roles = kept["x"], kept["y"], kept["roles"]
    return {name: Sample(x[roles == name], y[roles == name]) for name in ("pool", "validation", "FO")}


def roles_of(images: pa.Table, workspace: Workspace) -> tuple[npt.NDArray[np.object_], list[str]]:
    """What each image is for ('' for nothing), and its class where it is known."""
    truth: dict[str, str] = {}
    file = workspace.path / "sources" / "truth.csv"
    if file.exists():  # a simulation knows the classes of its pool, and its calibration galaxies are free to validate
        with open(file, newline="", encoding="utf-8") as lines:
            truth = {row["survey"] + row["object_id"]: row["label"] for row in csv.DictReader(lines)}
    roles, labels = [], []
    for row in images.to_pylist():
        labels.append(row["truth"] or row["label"] or truth.get(f"{row['survey']}{row['object_id']}", ""))
        if row["truth"]:
            roles.append("FO")
        elif labels[-1] not in workspace.config.classes:
            roles.append("")
        elif truth:
            roles.append({"pool": "pool", "calibration": "validation"}.get(row["split"], ""))
        else:
            roles.append("" if row["split"] != "train" else "validation" if row["draw"] < 0.2 else "pool")
    return np.array(roles, object), labels


@torch.inference_mode()
def frozen_features(stamps: npt.NDArray[np.uint8], recipe: Recipe) -> Floats:
    """Pooled features of the recipe's backbone with its starting weights, mean over the four right-angle turns."""
    network = build_network(recipe.network, 2).eval()
    load_starting_weights(network)
    found = []
    with Reporter().bar("looking at stamps") as update:
        for first in range(0, len(stamps), 64):
            images = network.prepare(torch.from_numpy(stamps[first : first + 64]))
            turned = [network._as_backbone_wants(torch.rot90(images, k, (2, 3))) for k in range(4)]
            found.append(torch.stack([network.backbone(view) for view in turned]).mean(0))
            update(first, len(stamps))
    return torch.cat(found).numpy()


def chosen_head(samples: dict[str, Sample], folder: Path, options: argparse.Namespace) -> tuple[int, float]:
    """Components and penalty: as they were chosen before, or chosen now on validation galaxies."""
    file = folder / f"head-{options.survey}-{features_name(options)}.json"
    if not file.exists():
        print(f"| components | C | random, {options.target} | margin, {options.target} |\n|---|---|---|---|")
        means = {}
        for components, penalty in TRIED:
            reduced = reduce_features(samples, components)
            random, margin = (
                np.mean([
                    follow(reduced, strategy, seed, options.target, options.batch, penalty)["validation"][-1]
                    for seed in TUNING_SEEDS
                ])
                for strategy in ("random", "margin")
            )  # fmt: skip
            means[components, penalty] = float(random + margin)
            print(f"| {components} | {penalty} | {random:.4f} | {margin:.4f} |", flush=True)
        best = max(means, key=lambda tried: means[tried])
        write_text(file, json.dumps({"components": best[0], "penalty": best[1]}))
    found = json.loads(file.read_text(encoding="utf-8"))
    print(f"Head: {found['components']} components, C = {found['penalty']}")
    return found["components"], found["penalty"]


def features_name(options: argparse.Namespace) -> str:
    return f"round-{options.round}" if options.round else "frozen"


def run(
    samples: dict[str, Sample], folder: Path, penalty: float, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Every curve that the table needs, from the file or worked out now."""
    setting = {"survey": options.survey, "features": features_name(options), "batch": options.batch,
               "labels": options.labels, "components": samples["pool"].x.shape[1], "penalty": penalty}  # fmt: skip
    file = folder / "curves.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    known = [json.loads(line) for line in lines]
    with Reporter().bar("labelling") as update:
        for seed in range(options.seeds):
            for strategy in STRATEGIES:
                key = setting | {"seed": seed, "strategy": strategy}
                curve = next((one for one in known if key.items() <= one.items()), None)
                if curve is None:
                    curve = key | follow(samples, strategy, seed, options.labels, options.batch, penalty)
                    append_line(file, json.dumps(curve))
                yield curve
            update(seed + 1, options.seeds)


def reduce_features(samples: dict[str, Sample], components: int) -> dict[str, Sample]:
    """Standardised principal components of the pool: what is known of it before anybody labels anything."""
    scale = StandardScaler().fit(samples["pool"].x)
    pca = PCA(components, random_state=0).fit(scale.transform(samples["pool"].x))
    first = np.sqrt(
        pca.explained_variance_[0]
    )  # the first component gets a spread of one, the others keep theirs to it
    return {name: Sample(pca.transform(scale.transform(s.x)) / first, s.y) for name, s in samples.items()}


def follow(
    samples: dict[str, Sample], strategy: str, seed: int, labels: int, batch: int, penalty: float
) -> dict[str, list[float]]:
    """Accuracy on validation and on FO after every batch of labels, from the first ones on."""
    pool = samples["pool"]
    labelled = np.zeros(len(pool.y), bool)
    labelled[np.random.default_rng([seed, 0]).permutation(len(pool.y))[:START]] = True
    again = np.random.default_rng([seed, 1 if strategy == "random again" else 2])
    accuracy: dict[str, list[float]] = {name: [] for name in JUDGED}
    while True:
        head = LogisticRegression(C=penalty, max_iter=1000).fit(pool.x[labelled], pool.y[labelled])
        for name in JUDGED:
            accuracy[name].append(float((head.predict(samples[name].x) == samples[name].y).mean()))
        if labelled.sum() >= labels:
            return accuracy
        labelled[ask(strategy, pool, labelled, head, batch, penalty, again)] = True


def ask(
    strategy: str, pool: Sample, labelled: npt.NDArray[np.bool_], head: LogisticRegression, n: int, penalty: float,
    rng: np.random.Generator,
) -> Ints:  # fmt: skip
    """Positions of n unlabelled galaxies to be labelled next."""
    free = np.flatnonzero(~labelled)
    if strategy.startswith("random"):
        return rng.permutation(free)[:n]
    if strategy == "typical":
        return choose_typical(pool.x, labelled, n, seed=int(rng.integers(2**31)))
    if strategy == "coverage":
        return choose_coverage(pool.x, labelled, n)
    if strategy == "margin":
        ordered = np.sort(head.predict_proba(pool.x[free]), axis=1)
        return free[np.argsort(ordered[:, -1] - ordered[:, -2], kind="stable")[:n]]
    posteriors = np.stack(
        [_bootstrapped(pool, labelled, penalty, rng).predict_proba(pool.x[free]) for _ in range(MEMBERS)]
    )
    return free[np.argsort(-mutual_information(posteriors), kind="stable")[:n]]


def _bootstrapped(
    pool: Sample, labelled: npt.NDArray[np.bool_], penalty: float, rng: np.random.Generator
) -> LogisticRegression:
    """A head on a bootstrap sample that holds both classes."""
    known = np.flatnonzero(labelled)
    while True:
        drawn = rng.choice(known, len(known))
        if len(set(pool.y[drawn])) > 1:
            return LogisticRegression(C=penalty, max_iter=1000).fit(pool.x[drawn], pool.y[drawn])


def table(
    curves: list[dict[str, Any]], options: argparse.Namespace, samples: dict[str, Sample], penalty: float
) -> list[str]:
    """Accuracy at the target's labels, labels until the target, and their ratio to random's, strategy by strategy."""
    by = {name: np.array([one[options.on] for one in curves if one["strategy"] == name]) for name in STRATEGIES}
    counts = START + options.batch * np.arange(by["random"].shape[1])
    place = int(np.flatnonzero(counts >= options.target)[0])
    target = float(by["random"][:, place].mean())
    needed = {name: np.array([labels_until(counts, curve, target) for curve in by[name]]) for name in STRATEGIES}
    lines = [
        f"{options.on} of {options.survey}: {len(samples[options.on].y)} galaxies, pool of {len(samples['pool'].y)}, "
        f"{options.seeds} seeds; target {100 * target:.2f} %, random's with {counts[place]} labels; all labels: "
        f"{100 * _with_all(samples, options.on, penalty):.2f} %", "",
        f"| strategy | accuracy with {counts[place]} | labels to the target | never | ratio to random's, mean ± s.d. | "
        "95 % | of the mean curves |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name in STRATEGIES:
        mean_curve = labels_until(counts, by[name].mean(0), target) / labels_until(counts, by["random"].mean(0), target)
        ratio = needed[name] / needed["random"]
        mean, low, high = (float(value[0]) for value in gain_interval(ratio[:, None]))
        accuracy = 100 * by[name][:, place]
        lines.append(
            f"| {name} | {accuracy.mean():.2f} ± {_spread(accuracy):.2f} | {needed[name].mean():.0f} ± "
            f"{_spread(needed[name]):.0f} | {int((needed[name] > counts[-1]).sum())} | "
            f"{mean:.2f} ± {_spread(ratio):.2f} | [{low:.2f}, {high:.2f}] | {mean_curve:.2f} |"
        )
    return lines


def labels_until(counts: Ints, accuracy: Floats, target: float) -> float:
    """Labels from which the rising curve through the accuracies is at the target; a batch beyond the last for never."""
    rising = IsotonicRegression().fit_transform(counts, accuracy)
    reached = np.flatnonzero(rising >= target - 1e-9)
    return float(counts[reached[0]] if len(reached) else 2 * counts[-1] - counts[-2])


def _with_all(samples: dict[str, Sample], on: str, penalty: float) -> float:
    head = LogisticRegression(C=penalty, max_iter=1000).fit(samples["pool"].x, samples["pool"].y)
    return float((head.predict(samples[on].x) == samples[on].y).mean())


def _spread(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("workspace", type=Path)
    options.add_argument("--on", default="validation", choices=JUDGED)
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--recipe", default="demo", help="whose backbone and weights are used frozen")
    options.add_argument("--round", type=int, help="use the features that this round has kept")
    options.add_argument("--survey", default="des")
    options.add_argument("--batch", type=int, default=20, help="labels between two trainings")
    options.add_argument("--labels", type=int, default=600, help="labels at which every curve ends")
    options.add_argument("--target", type=int, default=300, help="random's labels that set the target")
    options.add_argument("--folder", type=Path, help="where features and curves are kept")
    options.add_argument("--tune", action="store_true", help="choose the head and end")
    return options.parse_args()


if __name__ == "__main__":
    main()
