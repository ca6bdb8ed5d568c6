"""Calibrate a round's model on the calibration objects, and measure the calibration.

The calibration objects are the target survey's split `calibration`, drawn without a cut on the votes. The calibrator is
fitted to their fitting half before the scores are recorded. The certifying half, which the calibrator never saw,
measures it. HP and FO are test sets and are used for neither.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, first_row, literal_path
from catbuilder.catalogue.id_ranges import LARGE_TABLES, restricted_to
from catbuilder.catalogue.round_records import RoundPlan
from catbuilder.catalogue.workspace import Recording
from catbuilder.core.errors import NothingToCertify
from catbuilder.core.recipe import Recipe
from catbuilder.core.resources import query
from catbuilder.decisions.calibrator import (
    TIE,
    Ints,
    Method,
    brier_score,
    expected_calibration_error,
    fit_calibrator,
    reliability,
    resampled_calibration_errors,
)
from catbuilder.decisions.error_bounds import zero_error_n
from catbuilder.decisions.evaluate import METRICS, metric_row
from catbuilder.decisions.measures import Metric, proportion

_BOOTSTRAPS = 1000
_FEWEST = 10  # objects of each class, below which a shift between the classes would be noise
_DRAWN_AT_ONCE = 1 << 16  # what is computed of so many fits into the cache of a core


def delta_per_class(recipe: Recipe, classes: tuple[str, ...]) -> float:
    """Compute the share of delta that each class has in one certified round."""
    return recipe.certificate.delta / (recipe.certificate.rounds * len(classes))


def require_calibration(con: Connection, recipe: Recipe, classes: tuple[str, ...]) -> str | None:
    """Refuse a round that cannot certify anything, before it trains for hours.

    Returns
    -------
    a warning if the calibration objects may be too few to certify much, else None

    Raises
    ------
    NothingToCertify
        No calibration object of the target survey has both an image and a true class, or delta is spent.
    """
    target = recipe.sets.target
    with calibration_alone(con):
        row = first_row(
            con, query("decisions/calibration_counts"), {"target": target, "promoted_train": recipe.teaching is None}
        )
    drawn, with_image, with_truth, certifying, unscored, rounds = row if row else (0, 0, 0, 0, 0, None)
    survey = target.upper()
    if not with_truth:
        have = f"{drawn:,} galaxies in the split, {with_image:,} with a good stamp" if drawn else "the split is empty"
        raise NothingToCertify(
            f"the policy certified cannot certify anything: there are no {survey} calibration labels with an image "
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
    least = zero_error_n(settings.alpha, delta_per_class(recipe, classes))
    warnings = []
    if unscored:
        which = ", ".join(f"catbuilder score --round {number}" for number in rounds)
        warnings.append(
            f"{unscored} calibration galaxies of {survey} do not count: earlier rounds have not scored them, so it is "
            f"unknown whether those rounds would have promoted them; score them with: {which}"
        )
    if certifying < least * len(classes):
        warnings.append(
            f"{certifying} calibration galaxies of {survey} are in the certifying half, and each of the {len(classes)} "
            f"classes needs at least {least} without an error for {settings.alpha:.1%}: little or nothing will be "
            "promoted"
        )
    return f"warning: {'; '.join(warnings)}" if warnings else None


def spent_delta(con: Connection, target: str, before: int = 2**31 - 1) -> float:
    """Add up the delta that the survey's certificates have spent: the probability that any of them fails.

    A refused class has spent its share too, because the certifying half was tested. A class refused because of a shift
    has not, because it was not tested.

    Parameters
    ----------
    before : only rounds before this one count
    """
    row = first_row(
        con,
        "SELECT coalesce(sum(delta), 0) FROM certificates WHERE survey = ? AND round < ? AND verdict <> 'shifted'",
        [target, before],
    )
    return float(row[0]) if row else 0.0


def record_calibrator(recording: Recording, plan: RoundPlan, shards: list[Path]) -> None:
    """Fit the model's calibrator to the scores in its shards and record it; do nothing without calibration labels."""
    if not _calibrates(recording.con):
        return
    parameters = {
        "round": plan.round,
        "target": plan.recipe.sets.target,
        "files": [literal_path(path) for path in shards],
    }
    with calibration_alone(recording.con):
        objects = fetch_arrow(recording.con, query("decisions/calibrator_objects"), parameters)
    if not objects.num_rows:
        return
    truth = truth_indices(objects, plan.classes)
    found = fit_calibrator(posteriors(objects, plan.classes), truth, calibration_method(plan, truth))
    recording.con.execute(
        "INSERT INTO calibrators VALUES (?, ?, ?, ?, ?, ?, ?)",
        [plan.round, found.method, list(found.scale), list(found.shift), objects.num_rows, plan.round, recording.run],
    )


def calibration_method(plan: RoundPlan, truth: Ints) -> Method:
    """Choose how a model is calibrated, given the true classes of the fitting half."""
    if not plan.recipe.speaking.calibrate:
        return plan.recipe.certificate.calibrator
    fewest = np.bincount(truth[truth != TIE], minlength=len(plan.classes)).min()
    return "shift" if fewest >= _FEWEST else "temperature"


def calibration_metrics(con: Connection, plan: RoundPlan) -> pa.Table:
    """Measure the calibration on the certifying half: reliability curve, calibration error, Brier score and accuracy.

    The rows belong to the test set 'calibration' of the table `metrics`; the column `variable` says whether a row is
    about the raw or the calibrated confidence. Intervals are at 95 per cent: Wilson's for proportions, else the
    percentiles of 1,000 bootstrap samples (Efron 1979).
    """
    if not _calibrates(con):
        return METRICS.empty_table()
    target = plan.recipe.sets.target
    with calibration_alone(con, plan.round):
        objects = fetch_arrow(con, query("decisions/calibration_scored"), {"round": plan.round, "target": target})
    if not objects.num_rows:
        return METRICS.empty_table()
    truth = truth_indices(objects, plan.classes)
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
    rows = [metric_row(plan.round, "calibration", target, metric) for metric in metrics]
    return pa.Table.from_pylist(rows, schema=METRICS)


@contextmanager
def calibration_alone(con: Connection, model: int | None = None, more: str = "") -> Iterator[None]:
    """Show every query of this connection only objects that may calibrate, and what decides whether they do.

    Parameters
    ----------
    model : show only the scores of this model; by default all
    more : a SELECT of survey and object_id of further objects that the body needs
    """
    # which objects were passed over depends on the answers to all that were asked together, under any of their ids
    text = (
        "SELECT survey, object_id FROM splits WHERE split = 'calibration' UNION SELECT survey, object_id FROM queue "
        "UNION SELECT survey, object_id FROM aliases UNION SELECT survey, of_object_id FROM aliases"
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE calibrating AS {text}{' UNION ' if more else ''}{more}")
    with restricted_to(con, "calibrating", gathered=[*LARGE_TABLES, "scores"], model=model):
        yield


def _calibrates(con: Connection) -> bool:
    """Whether any object was ever put into the split `calibration`; the queries of those that count take longer."""
    return first_row(con, "SELECT 1 FROM splits WHERE split = 'calibration' LIMIT 1") is not None


def posteriors(objects: pa.Table, classes: tuple[str, ...]) -> np.ndarray:
    """Read the columns p_<class> as an array: float (n, classes)."""
    return np.column_stack([objects[f"p_{name}"].to_numpy() for name in classes])


def truth_indices(objects: pa.Table, classes: tuple[str, ...]) -> Ints:
    """Read the column `truth` as indices into the classes: int (n,), `TIE` where the votes are equal."""
    number = {name: place for place, name in enumerate(classes)}
    return np.array([number.get(name, TIE) for name in objects["truth"].to_pylist()], np.int64)


def _of_confidence(variable: str, confidence: np.ndarray, right: np.ndarray) -> list[Metric]:
    counted = right.astype(np.float64)
    errors = np.concatenate([resampled_calibration_errors(confidence, counted, s) for s in _resamples(len(right))])
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


def _resamples(n: int) -> Iterator[Ints]:
    """Draw `_BOOTSTRAPS` samples of n objects with replacement, some at a time."""
    rng = np.random.default_rng(0)
    at_once = max(1, _DRAWN_AT_ONCE // n)
    for done in range(0, _BOOTSTRAPS, at_once):
        yield rng.integers(0, n, (min(at_once, _BOOTSTRAPS - done), n))


def _bootstrapped(name: str, values: np.ndarray) -> Metric:
    means = np.concatenate([values[s].mean(axis=1) for s in _resamples(len(values))])
    low, high = np.percentile(means, [2.5, 97.5])
    return Metric(name, float(math.fsum(values) / len(values)), len(values), 1.0, low=float(low), high=float(high))
