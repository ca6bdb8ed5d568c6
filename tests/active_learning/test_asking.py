"""A round that closes asks people about its most doubtful objects, and their answers train the next one."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.command_line import CommandLine
from support.contents import rows
from support.small_survey import write_csv

from catbuilder.active_learning.answers import import_labels
from catbuilder.active_learning.select_objects import list_open_questions
from catbuilder.catalogue.round_records import training_manifest_file
from catbuilder.catalogue.workspace import Workspace

ASKING = ("--set", "asking.objects=6", "--set", "teaching.surest=0.5", "--set", "teaching.human_weight=4")


@pytest.fixture
def asked(small_survey: Path, copy_of: Callable[[Path], Path], tiny_recipe: Path) -> CommandLine:
    command = CommandLine(copy_of(small_survey), tiny_recipe)
    said = command(*command.round_arguments(), *ASKING)
    assert "round 1: 6 doubtful objects to ask people about: catbuilder select --strategy margin" in said
    return command


def test_the_most_doubtful_of_the_pool_are_queued_and_their_answers_train_the_next_round(asked: CommandLine) -> None:
    workspace = Workspace.open(asked.workspace)
    queued = rows(workspace, "SELECT survey, object_id, strategy, purpose, model FROM queue ORDER BY object_id")
    assert len(queued) == 6 and {row[2:] for row in queued} == {("margin", "training", 1)}
    least = """
        SELECT object_id FROM catalog
        WHERE split = 'pool' AND domain = 'in' AND test_set IS NULL AND firewall IS NULL AND label IS NULL
        ORDER BY abs(p_spiral - p_elliptical), object_id LIMIT 6
    """
    assert sorted(object_id for (object_id,) in rows(workspace, least)) == [row[1] for row in queued]
    questions = list_open_questions(workspace, "margin")
    assert sorted(questions["object_id"].to_pylist()) == [row[1] for row in queued]

    answers = [{"object_id": row[1], "survey": row[0], "label": "spiral", "annotator": "m"} for row in queued]
    import_labels(workspace, write_csv(asked.workspace / "answers.csv", answers), source="human")
    asked(*asked.round_arguments(), *ASKING)
    manifest = pq.read_table(training_manifest_file(workspace, 2)).to_pylist()
    people = [row for row in manifest if row["source"] == "human"]
    assert {row["object_id"] for row in people} == {row[1] for row in queued}
    assert all(row["role"] == "training" and row["weight"] == 4 for row in people)
    assert {row["weight"] for row in manifest if row["source"] != "human"} == {1}
