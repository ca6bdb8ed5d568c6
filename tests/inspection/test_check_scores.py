"""`check --deep` compares recorded scores with the score files, whose hashes prove them."""

import pytest
from support.contents import rows

from catbuilder.catalogue.compact import compact
from catbuilder.catalogue.workspace import Workspace
from catbuilder.inspection.check import check

ONE = "survey = 'des' AND object_id = (SELECT min(object_id) FROM posteriors WHERE survey = 'des')"


@pytest.fixture
def scored(first_round, copy_of):
    return Workspace.open(copy_of(first_round))


def faults(workspace):
    return {one.check: (one.faults, one.count) for one in check(workspace, deep=True) if one.count}


def test_a_score_that_is_not_the_one_in_its_file_is_found(scored):
    assert faults(scored) == {}
    changes = (
        f"UPDATE posteriors SET p_spiral = p_elliptical, p_elliptical = p_spiral WHERE {ONE}",
        f"UPDATE posteriors SET object_id = object_id + 1000000007 WHERE {ONE}",
    )
    (number,) = rows(scored, f"SELECT object_id FROM posteriors WHERE {ONE}")[0]
    for place, change in enumerate(changes):
        with scored.recording("a person with DuckDB") as recording:
            recording.con.execute(change)
        (said,), count = faults(scored)["scores"]
        moved = number + 1000000007 * place
        assert count == 1
        assert said == f"des {moved}: its score by the model of round 1 is not the one in the score files"


def test_a_calibrated_confidence_that_does_not_follow_from_its_calibrator_is_found(scored):
    with scored.recording("a person with DuckDB") as recording:
        recording.con.execute(f"UPDATE posteriors SET calibrated_confidence = 0.123 WHERE {ONE}")
    (said,), count = faults(scored)["scores"]
    assert count == 1 and "its calibrated confidence is not what the calibrator of round 1 gives" in said


def test_scores_that_were_altered_before_they_were_archived_are_found(second_round, copy_of):
    workspace = Workspace.open(copy_of(second_round))
    with workspace.recording("a person with DuckDB") as recording:
        recording.con.execute("UPDATE posteriors SET p_spiral = 0.5, p_elliptical = 0.5 WHERE model = 1")
    compact(workspace, keep=1)
    found, count = faults(workspace)["scores"]
    assert count == rows(workspace, "SELECT count(*) FROM scores WHERE model = 1")[0][0] * 2 and len(found) == 10


def test_files_that_are_damaged_are_named_once(scored):
    shard = next(scored.path.glob("rounds/001/scores/scores-*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-1])
    found = faults(scored)
    assert set(found) == {"rounds"} and found["rounds"][1] == 1


def test_recorded_scores_without_files_are_found(scored):
    for file in scored.path.glob("rounds/001/scores/*"):
        file.unlink()
    (said,), _ = faults(scored)["scores"]
    assert said == "the model of round 1 has recorded scores and no score files"
