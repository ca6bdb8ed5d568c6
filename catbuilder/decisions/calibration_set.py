"""The calibration objects of the catalogue: what a model's calibrator is fitted to, and how well it then fits.

They are the target survey's split `calibration`, drawn without a cut on the votes. Their fitting half makes the
calibrator before the scores are recorded; the certifying half, which it never saw, measures it. HP and FO are test
sets: they serve neither.
"""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, first_row
from catbuilder.catalogue.round_records import RoundPlan
from catbuilder.catalogue.workspace import Recording
from catbuilder.core.errors import NothingToCertify
from catbuilder.core.recipe import Recipe
from catbuilder.core.resources import query
from catbuilder.decisions.calibrator import (
    TIE,
    Ints,
    brier_score,
    expected_calibration_error,
    fit_calibrator,
    reliability,
)
from catbuilder.decisions.error_bounds import zero_error_n
from catbuilder.decisions.evaluate import METRICS, as_row
from catbuilder.decisions.measures import Metric, proportion

_BOOTSTRAPS = 1000


def delta_of_a_class(recipe: Recipe, classes: tuple[str, ...]) -> float:
    """The share of delta that one class has in one certified round."""
    return recipe.certificate.delta / (recipe.certificate.rounds * len(classes))


def require_calibration(con: Connection, recipe: Recipe, classes: tuple[str, ...]) -> str | None:
    """Refuse a round that could certify nothing, before it has trained for hours; a word where it may be too little.

    Raises
    ------
    NothingToCertify
        No calibration object of the target survey has an image and a truth, or delta is spent.
    """
    target = recipe.sets.target
    row = first_row(con, query("decisions/calibration_counts"), {"target": target})
    drawn, with_image, with_truth, certifying, unscored, rounds = row if row else (0, 0, 0, 0, 0, None)
    survey = target.upper()
    if not with_truth:
        have = f"{drawn:,} galaxies are drawn for it, {with_image:,} have a good stamp" if drawn else "none is drawn"
        raise NothingToCertify(
            f"the policy certified can promise nothing: there are no {survey} calibration labels with an image "
            f"({have}), and HP and FO are test sets and may not be used; ingest images and labels with --split "
            f"calibration --survey {target}, or use the policy top_k (--set promotion.policy=top_k)"
        )
    settings = recipe.certificate
    spent, asks = spent_delta(con, target), settings.delta / settings.rounds
    if spent + asks > settings.delta * (1 + 1e-9):
        raise NothingToCertify(
            f"delta is spent: the certified rounds of {survey} so far may fail with probability {spent:.3g}, this one "
            f"asks for {asks:.3g} more, and the recipe allows {settings.delta:.3g} in all; raise certificate.delta (or "
            "certificate.rounds, so that each asks for less), or use another policy"
        )
    least = zero_error_n(settings.alpha, delta_of_a_class(recipe, classes))
    careful = []
    if unscored:
        which = ", ".join(f"catbuilder score --round {number}" for number in rounds)
        careful.append(
            f"{unscored} calibration galaxies of {survey} do not count, as nobody knows whether earlier rounds would "
            f"have promoted them; find out with: {which}"
        )
    if certifying < least * len(classes):
        careful.append(
            f"{certifying} calibration galaxies of {survey} certify, and each of the {len(classes)} classes needs at "
            f"least {least} without an error for {settings.alpha:.1%}: little or nothing will be promoted"
        )
    return f"careful: {'; '.join(careful)}" if careful else None


def spent_delta(con: Connection, target: str, before: int = 2**31 - 1) -> float:
    """Probability that any certificate of the survey so far fails: what each class of each round had, in sum.

    A refusal has spent its share as well, as the certifying half was asked; not so where the shift forbade to ask.
    """
    row = first_row(
        con,
        "SELECT coalesce(sum(delta), 0) FROM certificates WHERE survey = ? AND round < ? AND verdict <> 'shifted'",
        [target, before],
    )
    return float(row[0]) if row else 0.0


def record_calibrator(recording: Recording, plan: RoundPlan, shards: list[Path]) -> None:
    """Fit the model's calibrator to the scores in its shards; none where no calibration object has a truth."""
    parameters = {"round": plan.round, "target": plan.recipe.sets.target, "files": [str(path) for path in shards]}
    objects = fetch_arrow(recording.con, query("decisions/calibrator_objects"), parameters)
    if not objects.num_rows:
        return
    found = fit_calibrator(posteriors(objects, plan.classes), truth_of(objects, plan.classes),
                           plan.recipe.certificate.calibrator)  # fmt: skip
    recording.con.execute(
        "INSERT INTO calibrators VALUES (?, ?, ?, ?, ?, ?, ?)",
        [plan.round, found.method, list(found.scale), list(found.shift), objects.num_rows, plan.round, recording.run],
    )


def calibration_metrics(con: Connection, plan: RoundPlan) -> pa.Table:
    """Reliability curve, expected calibration error, Brier score and accuracy on the certifying half.

    They stand under the test set 'calibration' in the table `metrics`, of raw and of calibrated confidence under that
    variable. Intervals at 95 per cent: Wilson's of proportions, of the others the percentiles of 1,000 bootstrap
    samples (Efron 1979).
    """
    target = plan.recipe.sets.target
    objects = fetch_arrow(con, query("decisions/calibration_scored"), {"round": plan.round, "target": target})
    if not objects.num_rows:
        return METRICS.empty_table()
    truth = truth_of(objects, plan.classes)
    predicted = np.array([plan.classes.index(name) for name in objects["predicted_label"].to_pylist()])
    right = predicted == truth
    metrics = [
        proportion("accuracy", int(right.sum()), len(right), 1.0),
        _bootstrapped("brier", brier_score(posteriors(objects, plan.classes), truth)),
    ]
    for kind, column in (("raw", "predicted_confidence"), ("calibrated", "calibrated_confidence")):
        confidence = objects[column].to_numpy().astype(np.float64)
        if np.isfinite(confidence).all():
            metrics += _of_confidence(f"{kind} confidence", confidence, right)
    rows = [as_row(plan.round, "calibration", target, metric) for metric in metrics]
    return pa.Table.from_pylist(rows, schema=METRICS)


def posteriors(objects: pa.Table, classes: tuple[str, ...]) -> np.ndarray:
    """The columns p_<class>: float (n, classes)."""
    return np.column_stack([objects[f"p_{name}"].to_numpy() for name in classes])


def truth_of(objects: pa.Table, classes: tuple[str, ...]) -> Ints:
    """The column `truth` as indices into the classes, `TIE` where votes are equal."""
    number = {name: place for place, name in enumerate(classes)}
    return np.array([number.get(name, TIE) for name in objects["truth"].to_pylist()], np.int64)


def _of_confidence(variable: str, confidence: np.ndarray, right: np.ndarray) -> list[Metric]:
    rng = np.random.default_rng(0)
    samples = [rng.integers(0, len(right), len(right)) for _ in range(_BOOTSTRAPS)]
    errors = [expected_calibration_error(confidence[s], right[s]) for s in samples]
    low, high = np.percentile(errors, [2.5, 97.5])
    value = expected_calibration_error(confidence, right)
    metrics = [Metric("ece", value, len(right), 1.0, low=float(low), high=float(high), variable=variable)]
    for part in reliability(confidence, right):
        curve = proportion("reliability", part.right, part.n, 1.0)
        metrics.append(
            Metric("reliability", curve.value, part.n, 1.0, low=curve.low, high=curve.high, variable=variable,
                   bin_low=part.low, bin_high=part.high)
        )  # fmt: skip
    return metrics


def _bootstrapped(name: str, values: np.ndarray) -> Metric:
    rng = np.random.default_rng(0)
    means = [float(rng.choice(values, len(values)).mean()) for _ in range(_BOOTSTRAPS)]
    low, high = np.percentile(means, [2.5, 97.5])
    return Metric(name, float(math.fsum(values) / len(values)), len(values), 1.0, low=float(low), high=float(high))
