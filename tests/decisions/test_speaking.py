"""Which model speaks: one that known galaxies do not favour is refused, and changes only the list of refusals."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.contents import rows
from support.small_survey import (
    CALIBRATION,
    CLASSES,
    N_CALIBRATION,
    N_POOL,
    POOL,
    finish_by_hand,
    record_scores_by_hand,
    write_recipe,
)

from catbuilder.catalogue.round_records import record_step
from catbuilder.catalogue.status import status
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import load_recipe
from catbuilder.decisions.promote import Decisions
from catbuilder.inspection.check import check
from catbuilder.rounds.planning import make_plan
from catbuilder.rounds.run import abandon_round

PROMOTED = "SELECT object_id, label FROM standing_labels_at() WHERE source = 'promoted' ORDER BY ALL"
STANDING = "SELECT survey, object_id, model, predicted_label, predicted_confidence FROM {} ORDER BY ALL"


def finished(workspace: Workspace, folder: Path, right: bool, *changes: str) -> Decisions:
    """Close a round whose model is right, or wrong, on every object."""
    recipe = load_recipe(write_recipe(folder / "gate.toml", per_class=4), ("speaking.gate=0.1", *changes))
    plan = make_plan(workspace, recipe, 1, 0, Reporter(quiet=True))
    validation = rows(
        workspace, "SELECT survey, object_id, label FROM training WHERE round = ? AND role = 'validation'", [plan.round]
    )
    truth = {(survey, object_id): label for survey, object_id, label in validation}
    truth |= {("des", CALIBRATION + i): CLASSES[i % 2] for i in range(N_CALIBRATION)}
    truth |= {("des", POOL + i): CLASSES[i % 2] for i in range(N_POOL)}
    return finish_by_hand(workspace, plan, {key: 0.9 if (c == "spiral") == right else 0.1 for key, c in truth.items()})


@pytest.fixture
def after_refusal(small_survey: Path, copy_of: Callable[[Path], Path], tmp_path: Path) -> Workspace:
    """One round whose model is right, and one whose model is wrong everywhere."""
    workspace = Workspace.open(copy_of(small_survey))
    assert not finished(workspace, tmp_path, right=True).refusal
    assert "galaxies of known class on which it differs" in finished(workspace, tmp_path, right=False).refusal
    return workspace


def test_a_refused_model_leaves_predictions_and_promoted_labels_as_they_were(after_refusal: Workspace) -> None:
    assert rows(after_refusal, STANDING.format("catalog_at()")) == rows(after_refusal, STANDING.format("catalog_at(1)"))
    assert {
        model for (model,) in rows(after_refusal, "SELECT DISTINCT model FROM catalog WHERE model IS NOT NULL")
    } == {1}
    assert len(rows(after_refusal, PROMOTED)) == 8, "nothing promoted and nothing taken back by the refused one"
    assert rows(after_refusal, "SELECT count(*) > 100 FROM predictions WHERE model = 2") == [(True,)], (
        "its scores are kept"
    )
    assert {f.check: f.count for f in check(after_refusal) if f.count and f.check not in ("models", "stamps")} == {}


def test_status_tells_why_a_model_does_not_speak(after_refusal: Workspace) -> None:
    first, second = status(after_refusal).rounds.to_pylist()
    assert first["refused"] is None and "that one is right on" in second["refused"]


def test_a_better_model_speaks_again_and_the_past_stays(after_refusal: Workspace, tmp_path: Path) -> None:
    before = rows(after_refusal, STANDING.format("catalog_at(2)"))
    assert not finished(after_refusal, tmp_path, right=True).refusal
    assert {
        model for (model,) in rows(after_refusal, "SELECT DISTINCT model FROM catalog WHERE model IS NOT NULL")
    } == {3}
    assert rows(after_refusal, STANDING.format("catalog_at(2)")) == before


def test_without_a_gate_every_model_speaks(small_survey: Path, copy_of: Callable[[Path], Path], tmp_path: Path) -> None:
    workspace = Workspace.open(copy_of(small_survey))
    finished(workspace, tmp_path, right=True)
    assert not finished(workspace, tmp_path, False, "speaking.gate=0").refusal
    assert {model for (model,) in rows(workspace, "SELECT DISTINCT model FROM catalog WHERE model IS NOT NULL")} == {2}


def test_the_model_of_an_abandoned_round_neither_speaks_nor_teaches(
    small_survey: Path, copy_of: Callable[[Path], Path], tmp_path: Path
) -> None:
    workspace = Workspace.open(copy_of(small_survey))
    finished(workspace, tmp_path, right=True)
    before = rows(workspace, STANDING.format("catalog_at(1)"))
    recipe = load_recipe(tmp_path / "gate.toml", ("teaching.surest=0.8", "speaking.model=mean"))
    plan = make_plan(workspace, recipe, 1, 0, Reporter(quiet=True))
    assert (plan.teacher, plan.averaged_with) == (1, (1,))
    with workspace.recording("scored") as recording:
        record_scores_by_hand(recording, workspace, plan, {("des", POOL + i): 0.5 for i in range(N_POOL)})
        record_step(recording, plan.round, "scored", "{}")
    abandon_round(workspace)
    assert rows(workspace, STANDING.format("catalog_at()")) == before
    assert rows(workspace, STANDING.format("catalog_at(2)")) == before
    assert "was abandoned" in status(workspace).rounds.to_pylist()[1]["refused"]
    plan = make_plan(workspace, recipe, 1, 0, Reporter(quiet=True))
    assert (plan.round, plan.teacher, plan.averaged_with) == (3, 1, (1,))
