"""Votes that Zooniverse has counted: panoptes_aggregation's reductions and Caesar's."""

from pathlib import Path

import pytest
from support.platform_exports import write_subjects
from support.workspaces import write_csv

from catbuilder.active_learning.answer_meanings import parse_answer_classes
from catbuilder.active_learning.counted_question import WantedQuestion
from catbuilder.active_learning.platform_answers import read_annotations
from catbuilder.core.errors import InputError
from catbuilder.core.settings import Limits

CLASSES = ("elliptical", "spiral")
ANSWERS = ("Smooth=elliptical", "Features or Disk=spiral", "Star or Artifact=none")
PANOPTES = ("subject_id", "workflow_id", "task", "reducer")
CAESAR = ("id", "reducer_key", "workflow_id", "subject_id", "created_at", "updated_at", "subgroup")


def read(file: Path, *answers: str, task: str | None = None):
    subjects = write_subjects(file.with_name("s.csv"), {5: 2**53 + 1, 6: 6, 7: 7})
    meanings = parse_answer_classes(answers or ANSWERS, CLASSES)
    wanted = WantedQuestion(task)
    return read_annotations(file, "zooniverse", meanings, Limits(), wanted=wanted, subjects=subjects)


def labels(found) -> dict[int, tuple[str, str]]:
    return {int(row.cells["object_id"]): (row.cells["label"], row.cells["annotator"]) for row in found.table.rows}


def test_votes_in_columns_need_a_majority_of_all_answers(tmp_path):
    file = write_csv(
        tmp_path / "question_reducer_x.csv",
        (
            *PANOPTES,
            "data.smooth",
            "data.features-or-disk",
            "data.star-or-artifact",
            "data.aggregation_version",
            "data.None",
        ),
        (5, 1, "T0", "question_reducer", "1.0", "7.0", "2.0", "4.1.0", ""),
        (6, 1, "T0", "question_reducer", "", "1.0", "9.0", "4.1.0", ""),
        (7, 1, "T0", "question_reducer", "3.0", "1.0", "", "4.1.0", "20.0"),
        (8, 1, "T0", "question_reducer", "3.0", "", "", "4.1.0", ""),
    )
    found = read(file)
    assert labels(found) == {2**53 + 1: ("spiral", "zooniverse: 7 of 10"), 7: ("elliptical", "zooniverse: 3 of 4")}
    assert found.counted == 24 and not found.warnings
    reasons = [rejection.reason for rejection in found.table.rejections]
    assert "of 10 people 9 gave an answer that means no class" in reasons[0] and "subject 8 is unknown" in reasons[1]


@pytest.mark.parametrize(
    "cell",
    [
        '{"smooth": 2, "features-or-disk": 1}',
        "{'smooth': 2, 'features-or-disk': 1}",
        "Counter({'smooth': 2, 'features-or-disk': 1})",
        "OrderedDict([('smooth', 2), ('features-or-disk', 1), ('aggregation_version', '4.1.0')])",
    ],
)
def test_votes_in_one_column_are_read_as_json_or_python(tmp_path, cell):
    file = write_csv(tmp_path / "r.csv", (*PANOPTES, "data"), (5, 1, "T0", "question_reducer", cell))
    assert labels(read(file)) == {2**53 + 1: ("elliptical", "zooniverse: 2 of 3")}


def test_caesar_names_answers_by_their_place(tmp_path):
    file = write_csv(
        tmp_path / "r.csv",
        (*CAESAR, "data.0", "data.1", "data.2"),
        (1, "votes", 1, 5, "", "", "_default", 1, 7, 2),
        (2, "votes", 1, 6, "", "", "_default", 5, "", 5),
    )
    assert labels(read(file, "0=elliptical", "1=spiral", "2=none")) == {2**53 + 1: ("spiral", "zooniverse: 7 of 10")}


def test_a_consensus_counts_only_if_it_is_a_majority(tmp_path):
    file = write_csv(
        tmp_path / "r.csv",
        (*PANOPTES, "data.most_likely", "data.num_votes", "data.agreement"),
        (5, 1, "T0", "question_consensus_reducer", "features-or-disk", 7, 0.7),
        (6, 1, "T0", "question_consensus_reducer", "features-or-disk", 4, 0.4),
        (7, 1, "T0", "question_consensus_reducer", "smooth", 3, 1.0),
    )
    found = read(file)
    assert labels(found) == {2**53 + 1: ("spiral", "zooniverse: 7 of 10"), 7: ("elliptical", "zooniverse: 3 of 3")}
    assert "6 gave an answer that means no class, 4 answered spiral" in found.table.rejections[0].reason


def test_votes_come_before_their_consensus_in_one_file(tmp_path):
    file = write_csv(
        tmp_path / "1_reductions.csv",
        (*PANOPTES, "data.smooth", "data.most_likely", "data.num_votes", "data.agreement"),
        (5, 1, "T0", "question_reducer", 4, "", "", ""),
        (5, 1, "T0", "question_consensus_reducer", "", "smooth", 4, 1.0),
        (5, 1, "T1", "survey_reducer", "", "", "", ""),
    )
    found = read(file)
    assert labels(found) == {2**53 + 1: ("elliptical", "zooniverse: 4 of 4")} and found.counted == 4
    assert "1 row of survey_reducer hold no votes" in found.warnings[0]


def test_tasks_of_a_decision_tree_are_kept_apart(tmp_path):
    rows = [(5, 1, "T1", "question_reducer", 9, 1), (5, 1, "T3", "question_reducer", 2, 8)]
    file = write_csv(tmp_path / "r.csv", (*PANOPTES, "data.yes", "data.no"), *rows)
    with pytest.raises(InputError, match=r"task T1 of workflow 1 \(10 answers\).*--task T1"):
        read(file, "Yes=spiral", "No=elliptical")
    assert labels(read(file, "Yes=spiral", "No=elliptical", task="T3"))[2**53 + 1][0] == "elliptical"


@pytest.mark.parametrize("votes", ["2.5", "-1", "many", "nan", "inf", "1e300"])
def test_what_is_no_number_of_votes_is_said(tmp_path, votes):
    rows = [(5, 1, "T0", "question_reducer", votes), (6, 1, "T0", "question_reducer", 3)]
    found = read(write_csv(tmp_path / "r.csv", (*PANOPTES, "data.smooth"), *rows))
    assert set(labels(found)) == {6} and "no number of votes" in found.table.rejections[0].reason


def test_a_subject_with_two_rows_for_a_task_gives_no_label(tmp_path):
    rows = [(5, 1, "T0", "question_reducer", n) for n in (1, 2)] + [(6, 1, "T0", "question_reducer", 3)]
    found = read(write_csv(tmp_path / "r.csv", (*PANOPTES, "data.smooth"), *rows))
    assert set(labels(found)) == {6} and ["several rows" in one.reason for one in found.table.rejections] == [
        True,
        True,
    ]


def test_pairs_of_choices_are_one_answer(tmp_path):
    file = write_csv(
        tmp_path / "r.csv", (*PANOPTES, "data.smooth", "data.features-or-disk+smooth"), (5, 1, "T0", "", 3, 9)
    )
    found = read(file)
    assert labels(found)[2**53 + 1] == ("elliptical", "zooniverse: 3 of 3") and found.unusable == 1


def test_a_table_that_names_its_objects_needs_no_subjects(tmp_path):
    meanings = parse_answer_classes(ANSWERS, CLASSES)
    file = write_csv(
        tmp_path / "r.csv", (*CAESAR, "data.smooth", "data.#object_id"),
        (1, "votes", 1, 5, "", "", "", 3, ""), (2, "names", 1, 5, "", "", "", "", 77),
    )  # fmt: skip
    found = read_annotations(file, "zooniverse", meanings, Limits())
    assert labels(found) == {77: ("elliptical", "zooniverse: 3 of 3")}
    nameless = write_csv(tmp_path / "n.csv", (*PANOPTES, "data.smooth"), (5, 1, "T0", "question_reducer", 3))
    with pytest.raises(InputError, match=r"not their object_id; give the project's export of subjects with --subjects"):
        read_annotations(nameless, "zooniverse", meanings, Limits())
