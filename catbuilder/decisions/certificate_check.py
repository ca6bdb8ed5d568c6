"""Recompute the certificates of a round from the catalogue, and report every difference.

The same functions that made a certificate run again on the recorded tables, so a certificate that does not follow from
them is found, whichever of the two was changed. The weights under covariate shift cannot be recomputed, because the
catalogue holds no features. The catalogue records which calibration objects were counted, and that is taken as it is.
"""

from typing import Any

import numpy as np

from catbuilder.catalogue.connection import Connection, fetch_arrow, first_row
from catbuilder.catalogue.round_records import RoundPlan
from catbuilder.core.resources import query
from catbuilder.decisions.calibration_set import calibration_method, posteriors, spent_delta, truth_indices
from catbuilder.decisions.calibrator import Calibrator, fit_calibrator
from catbuilder.decisions.certified_policy import (
    calibration_sample,
    certificate_rows,
    certify_classes,
    refuse_for_shift,
)


def check_certificates(con: Connection, plan: RoundPlan) -> list[str]:
    """Recompute the certificates of a decided round, and return a sentence for each difference."""
    recorded = fetch_arrow(con, "SELECT * EXCLUDE (run) FROM certificates WHERE round = $round", {"round": plan.round})
    rows = {row["class"]: row for row in recorded.to_pylist()}
    if plan.recipe.promotion.policy != "certified":
        return [f"round {plan.round} has certificates, but its promotion policy makes none"] if rows else []
    if not rows and first_row(con, "SELECT 1 FROM refusals WHERE model = ?", [plan.round]):
        return []  # a model that does not speak certifies nothing
    if sorted(rows) != sorted(plan.classes) or recorded.num_rows != len(plan.classes):
        return [
            f"round {plan.round} has certificates of {', '.join(rows) or 'no class'}; it must have one of each class"
        ]
    parameters: dict[str, object] = {"round": plan.round, "target": plan.recipe.sets.target}
    faults = [str(row[0]) for row in con.execute(query("decisions/certificate_faults"), parameters).fetchall()]
    faults += _refit(con, plan)
    for expected in _recomputed(con, plan, rows):
        row = rows[str(expected["class"])]
        faults += [
            f"{row['certificate']}: {column} is recorded as {row[column]}, and recomputed as {value}"
            for column, value in expected.items()
            if not _same(row[column], value)
        ]
    return faults


def _recomputed(con: Connection, plan: RoundPlan, rows: dict[str, dict[str, Any]]) -> list[dict[str, object]]:
    """Recompute the rows of `certificates` from the recorded calibration objects and promotions."""
    objects = fetch_arrow(con, query("decisions/certificate_recorded_objects"), {"round": plan.round})
    found = certify_classes(objects, plan.classes, plan.recipe)
    shifted = next((str(row["reason"]) for row in rows.values() if row["verdict"] == "shifted"), None)
    for name, certificate in found.items():
        threshold = rows[name]["threshold"]
        if shifted is not None:  # measured on features, which are not in the catalogue
            found[name] = refuse_for_shift(certificate, shifted)
        elif threshold in certificate.grid[: max(certificate.accepted - 1, 0)]:  # the quota chose a stricter one
            place = certificate.grid.index(threshold)
            found[name] = certificate.stricter(calibration_sample(objects, name, "certify"), place)
    shares = dict(con.execute("SELECT class, share FROM promotion_cuts WHERE round = ?", [plan.round]).fetchall())
    about: dict[str, object] = {"round": plan.round, "target": plan.recipe.sets.target}
    batches = dict(con.execute(query("decisions/certificate_batches"), about).fetchall())
    weighted: bool | None = any(weight != 1 for weight in objects["weight"].to_pylist()) or shifted is not None
    if not weighted and all(row["weighted"] is None for row in rows.values()):
        weighted = None  # features were too few to compare, which cannot be recomputed either
    spent = spent_delta(con, plan.recipe.sets.target, plan.round)
    return certificate_rows(plan, objects, found, shares, batches, weighted, shifted, spent)


def _refit(con: Connection, plan: RoundPlan) -> list[str]:
    """Refit the calibrator to the fitting half, and report if the recorded one differs."""
    parameters = {"round": plan.round, "target": plan.recipe.sets.target}
    objects = fetch_arrow(con, query("decisions/calibrator_recorded_objects"), parameters)
    row = first_row(con, "SELECT scale, shift FROM calibrators WHERE model = ?", [plan.round])
    if row is None or not objects.num_rows:
        return [f"round {plan.round} has certificates, but no calibrator or no calibration objects to fit it to"]
    scale, shift = row
    if scale is None or shift is None:
        return [f"the calibrator of round {plan.round} has no parameters"]
    truth, recorded = truth_indices(objects, plan.classes), posteriors(objects, plan.classes)
    method = calibration_method(plan, truth)
    if plan.recipe.speaking.calibrate:
        recorded = Calibrator(method, tuple(scale), tuple(shift)).inverse(recorded)
    again = fit_calibrator(recorded, truth, method)
    if np.allclose([*scale, *shift], [*again.scale, *again.shift], rtol=1e-5, atol=1e-5):
        return []
    return [
        f"the calibrator of round {plan.round} is recorded as {scale}, {shift}, "
        f"and refitted as {again.scale}, {again.shift}"
    ]


def _same(a: object, b: object) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1e-300)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return a == b
