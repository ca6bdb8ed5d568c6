"""Decide whether a round's model speaks: whether its predictions stand in the catalogue, and it may promote.

A model is refused if its training collapsed, or if galaxies of known class favour the model that speaks so far. These
are the validation objects, the half of the calibration objects that fits the calibrator, and objects of the pool that
people labelled since the speaking model was trained; never a test set, and never the half that certifies. Only objects
on which the two models differ say which is better, so a sign test counts those (McNemar 1947).
"""

from scipy.stats import binomtest

from catbuilder.catalogue.connection import Connection, first_row
from catbuilder.catalogue.round_records import RoundPlan
from catbuilder.core.resources import query
from catbuilder.decisions.calibration_set import calibration_alone


def reason_to_refuse(con: Connection, plan: RoundPlan) -> str:
    """Say why the round's model should not speak; '' if it should."""
    if first_row(con, "SELECT 1 FROM models WHERE model = ? AND collapsed", [plan.round]):
        return "its training collapsed to an answer hardly better than chance"
    level = plan.recipe.speaking.gate
    before = first_row(con, "SELECT max(model) FROM standing_speakers() WHERE model < ?", [plan.round])
    if not level or before is None or before[0] is None:
        return ""
    known = "SELECT survey, object_id FROM labels WHERE source = 'human' UNION SELECT survey, object_id FROM training"
    with calibration_alone(con, more=known):
        new_right, old_right = con.execute(
            query("decisions/disagreements"), {"round": plan.round, "new": plan.round, "old": before[0]}
        ).fetchall()[0]
    if old_right > new_right and binomtest(new_right, new_right + old_right, alternative="less").pvalue < level:
        return (
            f"of the {new_right + old_right} galaxies of known class on which it differs from the model of round "
            f"{before[0]}, that one is right on {old_right}"
        )
    return ""
