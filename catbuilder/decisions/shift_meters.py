"""Compare a round's labelled, calibration and pool galaxies by the features of its network, and record the shifts.

Labelled galaxies were trained on, which by itself makes their features different; only calibration against pool tells
whether a certificate can be trusted. The pool is represented by a sample that is the same in every round, so a meter
that changes tells about the network or the promotions, and not about the sample. Only objects whose features were kept
are compared, so no survey of millions is read again.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, literal_path
from catbuilder.catalogue.features import feature_files, features_of
from catbuilder.catalogue.round_records import RoundPlan
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.core.resources import query
from catbuilder.decisions.calibration_set import calibration_alone
from catbuilder.decisions.sample_shift import MIN_SAMPLE, Interval, frechet_distance, prior_drift, two_sample_auc

SAMPLES = ("labelled", "calibration", "pool")

SHIFTS = pa.schema(
    [
        ("round", pa.int32()), ("sample_a", pa.string()), ("sample_b", pa.string()), ("meter", pa.string()),
        ("class", pa.string()), ("value", pa.float64()), ("low", pa.float64()), ("high", pa.float64()),
        ("n_a", pa.int64()), ("n_b", pa.int64()),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Shifts:
    """Rows of the table `shifts`, and a sentence for each sample that is too small to compare."""

    rows: pa.Table
    messages: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Sample:
    features: npt.NDArray[np.float32]  # (n, d)
    predicted: list[str]  # (n,)


def measure_shift(con: Connection, workspace: Workspace, plan: RoundPlan) -> Shifts:
    """Compare the samples of a scored round in pairs, as the catalogue stands before the round promotes anything.

    Samples: 'labelled' are the labelled galaxies of the training split, 'calibration' the target survey's calibration
    galaxies that a certificate may count, 'pool' the target survey's objects that may be promoted.

    Meters: `auc`; `frechet`, with `frechet_noise`, its value by chance; and `prior`, one row per class, the share
    predicted in the second sample minus that in the first.
    """
    samples = _samples(con, workspace, plan)
    messages = tuple(
        f"no shift is measured against the {name} sample: features of {len(samples[name].predicted)} of its galaxies "
        f"were kept, and {MIN_SAMPLE} are needed"
        for name in SAMPLES
        if len(samples[name].predicted) < MIN_SAMPLE
    )
    large = [name for name in SAMPLES if len(samples[name].predicted) >= MIN_SAMPLE]
    rows = [row for a, b in combinations(large, 2) for row in _compare(plan, a, b, samples[a], samples[b])]
    return Shifts(pa.Table.from_pylist(rows, schema=SHIFTS), messages)


def record_shifts(recording: Recording, shifts: Shifts) -> None:
    """Append the rows to the table `shifts`."""
    recording.con.register("incoming_shifts", shifts.rows)
    recording.con.execute("INSERT INTO shifts BY NAME SELECT *, ? AS run FROM incoming_shifts", [recording.run])
    recording.con.unregister("incoming_shifts")


def _samples(con: Connection, workspace: Workspace, plan: RoundPlan) -> dict[str, _Sample]:
    files = [literal_path(file) for file in feature_files(workspace.round_folder(plan.round))]
    if not files:
        return {name: _Sample(np.empty((0, 0), np.float32), []) for name in SAMPLES}
    parameters = {"round": plan.round, "target": plan.recipe.sets.target}
    con.execute("CREATE OR REPLACE TEMP TABLE kept AS SELECT survey, object_id "
                "FROM read_parquet($files, hive_partitioning = false)", {"files": files})  # fmt: skip
    with calibration_alone(con, more="SELECT survey, object_id FROM temp.kept"):
        objects = fetch_arrow(con, query("decisions/shift_samples"), parameters)
    sample_of = np.array(objects["sample"].to_pylist(), dtype=object)
    found = {}
    for name in SAMPLES:
        own = objects.filter(pa.array(sample_of == name, pa.bool_()))
        found[name] = _Sample(features_of(workspace, plan.round, own)[0], own["predicted_label"].to_pylist())
    return found


def _compare(plan: RoundPlan, name_a: str, name_b: str, a: _Sample, b: _Sample) -> list[dict[str, object]]:
    """Make the rows of all meters of two samples."""
    frechet = frechet_distance(a.features, b.features)
    drift = prior_drift(a.predicted, b.predicted, plan.classes)
    meters: list[tuple[str, str | None, Interval | float]] = [
        ("auc", None, two_sample_auc(a.features, b.features, plan.seed)),
        ("frechet", None, frechet.distance),
        ("frechet_noise", None, frechet.noise),
        *(("prior", label, interval) for label, interval in drift.items()),
    ]
    common = {
        "round": plan.round, "sample_a": name_a, "sample_b": name_b, "n_a": len(a.predicted), "n_b": len(b.predicted)
    }  # fmt: skip
    return [common | {"meter": meter, "class": label} | _ends(value) for meter, label, value in meters]


def _ends(value: Interval | float) -> dict[str, float | None]:
    if isinstance(value, Interval):
        return {"value": value.value, "low": value.low, "high": value.high}
    return {"value": value, "low": None, "high": None}
