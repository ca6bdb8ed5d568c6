"""Measures on the fixed test sets: at full and at half coverage, with intervals, unscorable objects counted.

Accuracy holds at a coverage (Khan et al. 2019, figure 6): the surest half is judged apart from all. Objects
that could not be scored are uncovered, and `accuracy_unscorable_wrong` counts them as errors too.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from astropy.stats import binom_conf_interval
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from catbuilder.catalog import Connection, fetch_arrow
from catbuilder.resources import query
from catbuilder.workspace import Recording

COVERAGES = (1.0, 0.5)


@dataclass(frozen=True)
class Metric:
    """One row of the table `metrics`, but for where it was measured."""

    metric: str
    value: float | None  # None where there was nothing to count
    n: int
    coverage: float
    label: str | None = None  # the class it is about
    predicted: str | None = None  # confusion counts only
    low: float | None = None
    high: float | None = None


def measure(truth: np.ndarray, posterior: np.ndarray, classes: tuple[str, ...], unscorable: int = 0) -> list[Metric]:
    """All metrics of one set.

    Parameters
    ----------
    truth : int (n,), index into the classes
    posterior : float (n, classes)
    unscorable : members with truth that have no score

    Notes
    -----
    Intervals are Wilson's at 95 per cent (Wilson 1927). At half coverage the surest ceil(n / 2) count, ties
    in the order given.
    """
    metrics = [
        Metric("scored", float(len(truth)), len(truth) + unscorable, 1.0),
        Metric("unscorable", float(unscorable), len(truth) + unscorable, 1.0),
    ]
    surest_first = np.argsort(-posterior.max(axis=1), kind="stable") if len(truth) else np.empty(0, int)
    for coverage in COVERAGES:
        kept = surest_first[: int(np.ceil(coverage * len(truth)))]
        if len(kept):
            metrics += _at_coverage(truth[kept], posterior[kept], classes, coverage)
    right = int((posterior.argmax(axis=1) == truth).sum()) if len(truth) else 0
    if len(truth) + unscorable:
        metrics.append(_proportion("accuracy_unscorable_wrong", right, len(truth) + unscorable, 1.0))
    return metrics


def evaluate_round(con: Connection, round_number: int, classes: tuple[str, ...]) -> pa.Table:
    """Metrics of every test set in every survey, and of the validation set, by the model of a round."""
    scored = fetch_arrow(con, query("scored_test_objects"), {"round": round_number})
    rows = []
    keys = sorted(set(zip(scored["test_set"].to_pylist(), scored["survey"].to_pylist(), strict=True)))
    names, surveys = (np.array(scored[column].to_pylist(), dtype=object) for column in ("test_set", "survey"))
    posterior = np.column_stack([scored[f"p_{name}"].to_numpy() for name in classes])
    truth = np.array([classes.index(t) if t is not None else -1 for t in scored["truth"].to_pylist()])
    for test_set, survey in keys:
        here = (names == test_set) & (surveys == survey) & (truth >= 0)
        if not here.any():
            continue  # a test set without truth is scored, not measured
        has_score = np.isfinite(posterior[:, 0])
        found = measure(truth[here & has_score], posterior[here & has_score], classes, int((here & ~has_score).sum()))
        rows += [_as_row(round_number, test_set, survey, metric) for metric in found]
    return pa.Table.from_pylist(rows, schema=_METRICS)


def record_metrics(recording: Recording, metrics: pa.Table) -> None:
    """Append rows to the table `metrics`."""
    recording.con.register("incoming", metrics)
    recording.con.execute("INSERT INTO metrics BY NAME SELECT *, ? AS run FROM incoming", [recording.run])


_METRICS = pa.schema(
    [
        ("round", pa.int32()), ("test_set", pa.string()), ("survey", pa.string()), ("metric", pa.string()),
        ("class", pa.string()), ("predicted", pa.string()), ("coverage", pa.float64()), ("value", pa.float64()),
        ("low", pa.float64()), ("high", pa.float64()), ("n", pa.int64()),
    ]
)  # fmt: skip


def _as_row(round_number: int, test_set: str, survey: str, metric: Metric) -> dict[str, object]:
    return {
        "round": round_number, "test_set": test_set, "survey": survey, "metric": metric.metric,
        "class": metric.label, "predicted": metric.predicted, "coverage": metric.coverage,
        "value": metric.value, "low": metric.low, "high": metric.high, "n": metric.n,
    }  # fmt: skip


def _at_coverage(truth: np.ndarray, posterior: np.ndarray, classes: tuple[str, ...], coverage: float) -> list[Metric]:
    numbers = np.arange(len(classes))
    predicted = posterior.argmax(axis=1)
    n = len(truth)
    metrics = [_proportion("accuracy", int((predicted == truth).sum()), n, coverage)]
    _, _, f1, _ = precision_recall_fscore_support(truth, predicted, labels=numbers, zero_division=0)
    counts = confusion_matrix(truth, predicted, labels=numbers)
    for i, name in enumerate(classes):
        metrics.append(_proportion("precision", int(counts[i, i]), int(counts[:, i].sum()), coverage, name))
        metrics.append(_proportion("recall", int(counts[i, i]), int(counts[i].sum()), coverage, name))
        metrics.append(Metric("f1", float(f1[i]), n, coverage, name))
        if 0 < (truth == i).sum() < n:
            metrics.append(Metric("auc", float(roc_auc_score(truth == i, posterior[:, i])), n, coverage, name))
        for j, other in enumerate(classes):
            metrics.append(Metric("confusion", float(counts[i, j]), n, coverage, name, other))
    return metrics


def _proportion(metric: str, k: int, n: int, coverage: float, label: str | None = None) -> Metric:
    """A proportion with Wilson's interval; with nothing to count it is unknown, and may be anywhere in [0, 1]."""
    if n == 0:
        return Metric(metric, None, 0, coverage, label, low=0.0, high=1.0)
    low, high = binom_conf_interval(k, n, confidence_level=0.95, interval="wilson")
    return Metric(metric, k / n, n, coverage, label, low=float(low), high=float(high))
