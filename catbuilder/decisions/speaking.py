"""Decide whether a round's model speaks: whether its predictions stand in the catalogue, and it may promote.

A model is refused if its training collapsed, or if galaxies of known class favour the model that speaks so far. These
are the validation objects, the half of the calibration objects that fits the calibrator, and objects of the pool that
people labelled since the speaking model was trained; never a test set, and never the half that certifies. Only objects
on which the two models differ say which is better, so a sign test counts those (McNemar 1947).
"""

from dataclasses import dataclass

from scipy.stats import binomtest

from catbuilder.catalogue.connection import Connection, first_row
from catbuilder.catalogue.round_records import RoundPlan
from catbuilder.catalogue.workspace import Recording
from catbuilder.core.resources import query


@dataclass(frozen=True)
class Verdict:
    """Which model speaks after a round, and why a new one was refused ('' if it was not)."""

    model: int
    reason: str = ""


def judge_model(con: Connection, plan: RoundPlan) -> Verdict:
    """Decide which model speaks after the round: its own, or the one that spoke before."""
    before = first_row(con, "SELECT arg_max(model, round) FROM speakers WHERE round < ?", [plan.round])
    speaking = before[0] if before else None
    if first_row(con, "SELECT 1 FROM models WHERE model = ? AND collapsed", [plan.round]):
        return Verdict(speaking if speaking is not None else plan.round, "its training collapsed")
    level = plan.recipe.speaking.gate
    if speaking is None or not level:
        return Verdict(plan.round)
    place = {"round": plan.round, "new": plan.round, "old": speaking}
    new_right, old_right = con.execute(query("decisions/disagreements"), place).fetchall()[0]
    if old_right > new_right and binomtest(new_right, new_right + old_right, alternative="less").pvalue < level:
        return Verdict(
            speaking,
            f"of the {new_right + old_right} galaxies of known class on which it differs from the model of round "
            f"{speaking}, that one is right on {old_right}",
        )
    return Verdict(plan.round)


def record_verdict(recording: Recording, plan: RoundPlan, verdict: Verdict) -> None:
    """Record which model speaks after the round."""
    recording.con.execute(
        "INSERT INTO speakers VALUES (?, ?, ?, ?)",
        [plan.round, verdict.model, verdict.reason or None, recording.run],
    )
