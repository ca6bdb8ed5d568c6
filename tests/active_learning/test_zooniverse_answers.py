"""The answers in Zooniverse's export of classifications."""

import json
from pathlib import Path

import pytest
from support.platform_exports import classification, task, write_classifications, write_subjects
from support.workspaces import write_csv

from catbuilder.active_learning.zooniverse_answers import read_classifications
from catbuilder.active_learning.zooniverse_subjects import read_subjects
from catbuilder.core.errors import InputError
from catbuilder.core.settings import Limits

BIG = 2**53 + 1


def read(path: Path, *rows: tuple[object, ...], **more):
    return read_classifications(write_classifications(path / "c.csv", rows), Limits(), **more)


@pytest.mark.parametrize(
    ("value", "choices"),
    [
        ("Smooth", ("Smooth",)),
        (["Smooth", "Ring"], ("Smooth", "Ring")),
        (["Smooth", None], ("Smooth",)),
        ([{"choice": "LION", "answers": {}, "filters": {}}], ("LION",)),
        ([{"select_label": "Kind", "option": True, "value": "c9a", "label": "Smooth"}], ("Smooth",)),
        (0, ("0",)),
        (None, ()),
        ("", ()),
        ([], ()),
        ([{"tool": 0, "x": 1.5, "y": 2.5, "details": []}], ()),
    ],
)
def test_every_kind_of_task_gives_its_choices(tmp_path, value, choices):
    (answer,) = read(tmp_path, classification("ann", 7, task(value))).answers
    assert answer.choices == choices and answer.question == ("1", "T0", "What is it?")


def test_tasks_within_a_combination_are_tasks(tmp_path):
    combo = {
        "task": "T9",
        "task_label": None,
        "value": [task("Smooth"), {"task": "T8", "value": [task("No", "T1", "Bar?")]}],
    }
    found = read(tmp_path, classification("ann", 7, combo))
    assert [(answer.question.task, answer.choices) for answer in found.answers] == [
        ("T0", ("Smooth",)),
        ("T1", ("No",)),
    ]


def test_a_text_that_happens_to_be_a_class_is_no_vote(tmp_path):
    (answer,) = read(tmp_path, classification("ann", 7, {**task("spiral"), "taskType": "text"})).answers
    assert answer.choices == ()


def test_a_task_that_zooniverse_could_not_export_does_not_lose_the_others(tmp_path):
    found = read(tmp_path, classification("ann", 7, {"error": "task cannot be exported"}, task("Smooth")))
    assert [answer.choices for answer in found.answers] == [("Smooth",)]
    assert "could not export" in found.table.rejections[0].reason


def test_volunteers_who_are_not_logged_in_are_told_apart(tmp_path):
    users = ["not-logged-in-a1", "not-logged-in-b2", "", ""]
    found = read(tmp_path, *(classification(user, 7, task("Smooth")) for user in users))
    assert [answer.person for answer in found.answers[:2]] == users[:2]
    assert found.answers[2].person == "classification 900"


@pytest.mark.parametrize("name", ["#object_id", "!OBJECT_ID", "//object_id", "Object_ID", "# object_id ", "&object_id"])
@pytest.mark.parametrize("object_id", [BIG, str(BIG), f" 00{BIG}"])
def test_the_object_is_found_under_every_mark_and_case_with_every_digit(tmp_path, name, object_id):
    (answer,) = read(
        tmp_path, classification("ann", 1, task("Smooth"), fields={name: object_id, "#Survey": "des"})
    ).answers
    assert answer.cells == {"object_id": str(BIG), "survey": "des"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"#object_id": 5.87727178986356e17}, "whole positive number"),
        ({"#object_id": 1002.0}, "whole positive number"),
        ({"#object_id": "5.87E+17"}, "whole positive number"),
        ({"#object_id": True}, "neither a number nor text"),
        ({"#object_id": [1]}, "neither a number nor text"),
        ({"#object_id": "\ud800"}, "not valid text"),
        ({"#object_id": 2**64}, "does not fit 64 bits"),
        ({"#object_id": 7, "object_id": 8}, "two different fields object_id"),
        ({"ra": 1, "file": "x.png"}, "no object_id (it has retired, ra, file)"),
    ],
)
def test_an_object_that_cannot_be_known_is_said(tmp_path, fields, words):
    found = read(tmp_path, classification("ann", 1, task("Smooth"), fields=fields))
    assert not found.answers and words in found.table.rejections[0].reason


def test_a_drawing_of_any_length_does_not_stop_the_reader(tmp_path):
    points = [{"x": i * 0.1, "y": i * 0.2} for i in range(9000)]
    found = read(
        tmp_path,
        classification("ann", 1, task("Smooth")),
        classification("bob", 2, task([{"tool": 0, "points": points}], "T5")),
        classification("cy", 3, task("Smooth")),
    )
    assert [answer.choices for answer in found.answers] == [("Smooth",), (), ("Smooth",)]


def test_the_export_of_subjects_names_the_objects_that_the_metadata_does_not(tmp_path):
    subjects = read_subjects(write_subjects(tmp_path / "s.csv", {5007: BIG, 5008: 8}), Limits(), None)
    found = read(
        tmp_path,
        classification("ann", 7, task("Smooth"), fields={"file": "x.png"}),
        classification("bob", 8, task("Smooth"), fields={"#object_id": 9}),
        classification("cy", 9, task("Smooth"), fields={"file": "y.png"}),
        subjects=subjects,
    )
    assert [answer.cells["object_id"] for answer in found.answers] == [str(BIG)]
    reasons = [rejection.reason for rejection in found.table.rejections]
    assert "subject 5008 is object 9 here, and 8 with --subjects" in reasons[0]
    assert "subject 5009 is unknown: it is not in" in reasons[1]


def test_subjects_may_be_a_table_of_ones_own_and_must_agree(tmp_path):
    own = read_subjects(
        write_csv(tmp_path / "s.csv", ("Subject_ID", "object_id"), (1, 7), (1, 7), (2, 8), (2, 9)), Limits(), "des"
    )
    assert own.of("1") == {"object_id": "7", "survey": "des"}
    with pytest.raises(ValueError, match="two objects, 8 and 9"):
        own.of("2")
    with pytest.raises(InputError, match="no column 'subject_id'"):
        read_subjects(write_csv(tmp_path / "t.csv", ("a",), (1,)), Limits(), None)


def test_subjects_of_several_workflows_are_listed_once_each_time(tmp_path):
    rows = [(5, json.dumps({"#object_id": 7}), "{}"), (5, json.dumps({"#object_id": "7"}), "{}"), (6, "{", "{}")]
    found = read_subjects(write_csv(tmp_path / "s.csv", ("subject_id", "metadata", "locations"), *rows), Limits(), None)
    assert found.of("5")["object_id"] == "7"
    with pytest.raises(ValueError, match=r"subject 6 is unknown: its metadata in .* is missing"):
        found.of("6")
