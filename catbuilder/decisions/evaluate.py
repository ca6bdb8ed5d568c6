"""Evaluate a round's model on the test sets: accuracy, accuracy against coverage, and purity and completeness in bins.

An accuracy depends on the coverage (Khan et al. 2019, figure 6), on the mix of galaxies, and on which votes count as
truth. So each set is measured along the whole curve of coverage, in bins, and against both the debiased and the raw
majority of the votes. Objects that could not be scored are not covered; `accuracy_unscorable_wrong` counts them as
errors.
"""

from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catbuilder.catalogue.connection import Connection, fetch_arrow
from catbuilder.catalogue.workspace import Recording
from catbuilder.core.resources import query
from catbuilder.decisions.binned_accuracy import VARIABLES, colour_metrics, purity_and_completeness, training_splits
from catbuilder.decisions.measures import COVERAGES, CURVE, Metric, accuracy_curve, aurc, classification_metrics

METRICS = pa.schema(
    [
        ("round", pa.int32()), ("test_set", pa.string()), ("survey", pa.string()), ("metric", pa.string()),
        ("class", pa.string()), ("predicted", pa.string()), ("coverage", pa.float64()), ("value", pa.float64()),
        ("low", pa.float64()), ("high", pa.float64()), ("n", pa.int64()), ("variable", pa.string()),
        ("bin_low", pa.float64()), ("bin_high", pa.float64()), ("truth", pa.string()),
    ]
)  # fmt: skip


def evaluate_round(con: Connection, round_number: int, classes: tuple[str, ...]) -> pa.Table:
    """Compute the metrics of a round's model on every test set in every survey, and on the validation set.

    Returns a table with the columns of `metrics`, without `run`. A test set without true classes is scored but not
    measured.
    """
    scored = fetch_arrow(con, query("decisions/scored_test_objects"), {"round": round_number})
    splits = training_splits(con, round_number)
    rows = []
    sets = scored.group_by(["test_set", "survey"], use_threads=False).aggregate([])  # in the order of the query
    for key in sets.to_pylist():
        here = pc.and_(*(pc.equal(scored[name], value) for name, value in key.items()))
        members = scored.filter(here)
        # the split of the survey that measured these magnitudes, because photometric systems differ
        split = splits.get(members["measured_by"][0].as_py())
        found = _measure_set(members, classes, split)
        rows += [metric_row(round_number, key["test_set"], key["survey"], metric) for metric in found]
    return pa.Table.from_pylist(rows, schema=METRICS)


def metric_row(round_number: int, test_set: str, survey: str, metric: Metric) -> dict[str, object]:
    """Convert a metric to a row of the schema `METRICS`."""
    where = {"round": round_number, "test_set": test_set, "survey": survey, "class": metric.label}
    return where | {name: value for name, value in asdict(metric).items() if name != "label"}


def record_metrics(recording: Recording, metrics: pa.Table) -> None:
    """Append rows to the table `metrics`."""
    recording.con.register("incoming", metrics)
    recording.con.execute("INSERT INTO metrics BY NAME SELECT *, ? AS run FROM incoming", [recording.run])


def _measure_set(members: pa.Table, classes: tuple[str, ...], split: float | None) -> list[Metric]:
    posterior = np.column_stack([members[f"p_{name}"].to_numpy() for name in classes])
    truth, raw = (_class_numbers(members[name], classes) for name in ("truth", "raw_majority"))
    has_score = np.isfinite(posterior[:, 0])
    metrics = []
    if (truth >= 0).any():
        counted = has_score & (truth >= 0)
        unscorable = int(((truth >= 0) & ~has_score).sum())
        metrics += classification_metrics(truth[counted], posterior[counted], classes, unscorable)
        if counted.any():
            metrics += _curve(truth[counted], posterior[counted], [c for c in CURVE if c not in COVERAGES])
            metrics += _binned(members.filter(pa.array(counted)), truth[counted], posterior[counted], classes, split)
    counted = has_score & (raw >= 0)
    if counted.any():
        metrics += [replace(metric, truth="raw") for metric in _curve(raw[counted], posterior[counted], CURVE)]
    return metrics


def _curve(truth: np.ndarray, posterior: np.ndarray, coverages: list[float] | tuple[float, ...]) -> list[Metric]:
    return [*accuracy_curve(truth, posterior, coverages), aurc(truth, posterior)]


def _binned(
    members: pa.Table, truth: np.ndarray, posterior: np.ndarray, classes: tuple[str, ...], split: float | None
) -> list[Metric]:
    predicted = posterior.argmax(axis=1)
    values = {name: members[name].to_numpy() for name in VARIABLES}
    metrics = colour_metrics(truth, predicted, values["g_r"], classes, split)
    for name in VARIABLES:
        metrics += purity_and_completeness(truth, predicted, name, values[name], classes)
    return metrics


def _class_numbers(names: pa.ChunkedArray, classes: tuple[str, ...]) -> np.ndarray:
    """Convert names to indices into the classes; -1 where there is no name."""
    return np.asarray(pc.index_in(names, value_set=pa.array(classes, pa.string())).fill_null(-1).to_numpy())
