"""Rounds whose posteriors of the target survey are recorded calibrated, by half of its calibration objects."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.contents import MadeOnce, rows
from support.toy_rounds import CERTIFIED, Toy, build_toy, toy_at

from catbuilder.catalogue.workspace import Workspace
from catbuilder.decisions.calibrator import Calibrator
from catbuilder.inspection.check import check

CALIBRATE = ("--set", "speaking.calibrate=true")
RECORDED = "SELECT object_id, p_elliptical, p_spiral, calibrated_confidence FROM posteriors WHERE survey = ? ORDER BY 1"


@pytest.fixture(scope="module")
def calibrated(made_once: MadeOnce, copy_of: Callable[[Path], Path]) -> Toy:
    """The toy survey after a certified round that records calibrated posteriors; do not change it."""
    toy = toy_at(made_once("toy", build_toy))
    ran = toy.on(copy_of(toy.workspace))
    ran.round(*CALIBRATE, *CERTIFIED)
    return ran


def number(value: str | float | None) -> float | None:
    """Read a number as `rows` gives it, whose floats are hexadecimal text."""
    return float.fromhex(value) if isinstance(value, str) else value


def recorded(workspace: Path, survey: str) -> dict[int, tuple[float | None, ...]]:
    """The posteriors in the catalogue, and the calibrated confidence."""
    return {first: tuple(map(number, rest)) for first, *rest in rows(workspace, RECORDED, [survey])}


def written(workspace: Path, survey: str) -> dict[int, tuple[float, float]]:
    """The posteriors in the score files of round 1."""
    table = pq.read_table(sorted(workspace.glob("rounds/001/scores/scores-*.parquet")))
    return {
        row["object_id"]: (row["p_elliptical"], row["p_spiral"]) for row in table.to_pylist() if row["survey"] == survey
    }


def test_posteriors_of_the_target_survey_are_recorded_as_its_calibrator_gives_them(calibrated: Toy) -> None:
    ((method, scale, shift),) = rows(calibrated.workspace, "SELECT method, scale, shift FROM calibrators")
    assert method == "shift" and number(shift[0]) != 0
    files = written(calibrated.workspace, "des")
    found = recorded(calibrated.workspace, "des")
    expected = Calibrator(method, tuple(map(number, scale)), tuple(map(number, shift)))([files[n] for n in found])
    np.testing.assert_allclose([row[:2] for row in found.values()], expected, atol=1e-6)
    assert all(row[2] == max(row[:2]) for row in found.values()), "one scale in both columns"


def test_posteriors_of_other_surveys_stay_as_the_network_gives_them(calibrated: Toy) -> None:
    files = written(calibrated.workspace, "sdss")
    found = recorded(calibrated.workspace, "sdss")
    assert found and all(row == (*files[n], None) for n, row in found.items())


def test_calibrated_scores_and_their_certificates_pass_every_check(calibrated: Toy) -> None:
    assert calibrated.promoted(1)
    assert [one for one in check(Workspace.open(calibrated.workspace), deep=True) if one.count] == []


def test_a_recorded_score_that_its_calibrator_does_not_give_is_found(
    calibrated: Toy, copy_of: Callable[[Path], Path]
) -> None:
    workspace = Workspace.open(copy_of(calibrated.workspace))
    with workspace.recording("a person with DuckDB") as recording:
        recording.con.execute(
            "UPDATE posteriors SET p_spiral = p_elliptical, p_elliptical = p_spiral WHERE survey = 'des' "
            "AND object_id = (SELECT min(object_id) FROM posteriors WHERE survey = 'des')"
        )
    (found,) = (one for one in check(workspace, deep=True) if one.check == "scores")
    assert "its score by the model of round 1 is not the one in the score files" in found.faults[0]


def test_a_fitting_half_with_too_few_of_a_class_gives_no_shift(
    made_once: MadeOnce, copy_of: Callable[[Path], Path]
) -> None:
    toy = toy_at(made_once("toy", build_toy))
    ran = toy.on(copy_of(toy.workspace))
    with Workspace.open(ran.workspace).recording("labels taken away") as recording:
        recording.con.execute("DELETE FROM labels WHERE survey = 'des' AND label = 'spiral' AND object_id > 200030")
    ran.round(*CALIBRATE, "--set", "training.stages.0.epochs=1")
    assert rows(ran.workspace, "SELECT method, shift FROM calibrators") == [("temperature", [0.0, 0.0])]
