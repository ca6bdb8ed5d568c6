"""Comparison of two rounds: added, retracted and changed labels, and the recorded reasons."""

import csv
import json

import pytest
from support.workspaces import add_events, cli, close_round, failed, label_event, surveyed

from catbuilder.inspection.round_diff import diff


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A third round after the two of `surveyed`: people disagree about 5, confirm 7, and label 8."""
    workspace = surveyed(tmp_path_factory.mktemp("diff") / "ws")
    with workspace.recording("labels") as recording:
        add_events(
            recording,
            label_event("des", 5, "spiral", "human", reason="arms"),
            label_event("des", 7, "elliptical", "human"),
            label_event("des", 8, "spiral", "human"),
        )
    close_round(workspace, {("des", n): (0.1, 0.9) for n in range(1, 11)})
    return workspace


def test_labels_are_counted_by_kind_of_change(changed):
    found = diff(changed, 1, 2).labels.to_pylist()
    assert [(row["change"], row["label_before"], row["label_after"], row["objects"]) for row in found] == [
        ("added", None, "elliptical", 1), ("retracted", "spiral", None, 1)
    ]  # fmt: skip
    found = diff(changed, 2, 3).labels.to_pylist()
    assert [(row["change"], row["source_before"], row["source_after"]) for row in found] == [
        ("added", None, "human"), ("changed", "promoted", "human"), ("restated", "promoted", "human")
    ]  # fmt: skip


def test_predicted_classes_are_crossed_over_all_objects(changed):
    crossing = {
        (row["predicted_before"], row["predicted_after"]): row["objects"]
        for row in diff(changed, 2, 3).predictions.to_pylist()
    }
    # round 2 called the odd ones and 6 elliptical; des 11 and the two of sdss were never scored
    assert crossing == {("elliptical", "spiral"): 6, ("spiral", "spiral"): 4, (None, None): 3}


def test_examples_carry_the_reason(changed):
    told = {row["object_id"]: row["reason"] for row in diff(changed, 1, 3).examples.to_pylist()}
    assert told[6] == "retracted: round 2 scores it elliptical at 0.6000"
    assert told[5] == "labelled by human: arms"
    assert diff(changed, 1, 3, examples=0).examples.num_rows == 0


def test_every_changed_object_goes_to_a_csv_file(changed, tmp_path):
    out = tmp_path / "changed.csv"
    done = cli("-w", changed.path, "diff", "--from", "2", "--to", "3", "--out", out)
    assert "1 added, 1 changed, 1 restated; the predicted class of 6 objects changed" in done.out
    rows = list(csv.DictReader(out.open()))
    assert [int(row["object_id"]) for row in rows] == [1, 3, 5, 6, 7, 8, 9]
    assert f"{len(rows)} changed objects listed in {out}" in done.out


def test_one_part_is_printed_for_programs(changed):
    done = cli("-w", changed.path, "diff", "--from", "1", "--to", "2", "--part", "events", "--format", "json")
    assert {(row["event"], row["label"]) for row in json.loads(done.out)} == {
        ("label", "elliptical"), ("retraction", "spiral")
    }  # fmt: skip


def test_rounds_that_cannot_be_compared_are_refused(changed):
    failed(cli("-w", changed.path, "diff", "--from", "3", "--to", "2"), "round 3 is not before round 2")
    failed(cli("-w", changed.path, "diff", "--from", "1", "--to", "7"), "no round 7")
