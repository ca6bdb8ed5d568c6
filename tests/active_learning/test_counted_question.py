"""One task of one workflow counts; where several could be meant, the user names one."""

from pathlib import Path

import pytest
from support.platform_exports import classification, task, write_classifications

from catbuilder.active_learning.answer_meanings import parse_answer_classes
from catbuilder.active_learning.counted_question import WantedQuestion
from catbuilder.active_learning.platform_answers import PlatformLabels, read_annotations
from catbuilder.core.errors import InputError
from catbuilder.core.settings import Limits

CLASSES = ("elliptical", "spiral")
YES_NO = ("Yes=spiral", "No=elliptical")


def tree(**answers: str) -> list[dict[str, object]]:
    """A classification's tasks: T0="Features", T1="No"."""
    texts = {"T0": "Smooth, or features?", "T1": "Edge-on?", "T2": "A bar?", "T3": "Spiral arms?"}
    return [task(value, name, texts[name]) for name, value in answers.items()]


@pytest.fixture
def decision_tree(tmp_path: Path) -> Path:
    rows = [
        classification("ann", 1000, *tree(T0="Features", T1="No", T2="No", T3="Yes")),
        classification("ann", 1001, *tree(T0="Features", T1="No", T2="Yes", T3="No")),
        classification("ann", 1002, *tree(T0="Features", T1="Yes")),
    ]
    return write_classifications(tmp_path / "c.csv", rows)


def labels(file: Path, *answers: str, task: str | None = None, workflow: str | None = None, **more) -> PlatformLabels:
    meanings = parse_answer_classes(answers, CLASSES)
    return read_annotations(file, "zooniverse", meanings, Limits(), wanted=WantedQuestion(task, workflow, **more))


def of(found: PlatformLabels) -> dict[int, str]:
    return {int(row.cells["object_id"]): row.cells["label"] for row in found.table.rows}


def test_a_yes_that_several_questions_have_is_refused_with_their_numbers(decision_tree):
    with pytest.raises(InputError) as refused:
        labels(decision_tree, *YES_NO)
    for words in ("task T1 'Edge-on?' of workflow 1 (3 answers)", "T2 'A bar?'", "T3 'Spiral arms?'", "--task T1"):
        assert words in str(refused.value)
    assert "T0" not in str(refused.value)


def test_the_task_that_is_named_counts_and_no_other(decision_tree):
    found = labels(decision_tree, *YES_NO, task="t3")
    assert of(found) == {1000: "spiral", 1001: "elliptical"}
    assert (found.counted, found.of_other_questions) == (2, 8)
    assert "2 answers to task T3 'Spiral arms?' of workflow 1 counted." in found.sentences
    assert any("task T1 'Edge-on?' of workflow 1 (3 answers)" in sentence for sentence in found.sentences)


def test_the_only_question_whose_answers_mean_a_class_needs_no_name(decision_tree):
    assert of(labels(decision_tree, "Features=spiral", "Smooth=elliptical", "No=none")) == dict.fromkeys(
        (1000, 1001, 1002), "spiral"
    )


def test_a_question_that_only_had_other_answers_so_far_could_be_meant_too(tmp_path):
    rows = [classification("ann", 1, *tree(T1="Yes", T3="No")), classification("bob", 2, *tree(T1="No", T3="No"))]
    with pytest.raises(InputError, match="several questions"):
        labels(write_classifications(tmp_path / "c.csv", rows), "Yes=spiral")


def test_several_workflows_are_refused_and_one_can_be_named(tmp_path):
    rows = [
        classification("ann", 1, task("Spiral"), workflow=17),
        classification("bob", 2, task("Elliptical"), workflow=18),
        classification("cy", 3, task("Spiral"), workflow=18),
    ]
    file = write_classifications(tmp_path / "c.csv", rows)
    with pytest.raises(InputError, match=r"workflow 18 \(2 answers\).*workflow 17 \(1 answer\).*--workflow 18"):
        labels(file)
    with pytest.raises(InputError, match=r"--workflow 18"):
        labels(file, task="T0")
    assert of(labels(file, workflow="17")) == {1: "spiral"}


def test_versions_with_the_same_question_are_counted_together(tmp_path):
    rows = [classification("ann", 1, task("Spiral"), version=v) for v in ("5.17", "6.1")]
    rows.append(classification("bob", 1, {"task": "T0", "value": "Spiral"}, version="6.1"))
    assert labels(write_classifications(tmp_path / "c.csv", rows)).counted == 2


def test_a_question_that_was_rewritten_is_another_question(tmp_path):
    rows = [
        classification("ann", 1, task("Yes", text="Spiral arms?"), version="5.1"),
        classification("bob", 1, task("Yes", text="Spiral arms?"), version="5.2"),
        classification("cy", 1, task("Yes", text="Is it smooth?"), version="6.0"),
    ]
    file = write_classifications(tmp_path / "c.csv", rows)
    with pytest.raises(InputError) as refused:
        labels(file, *YES_NO)
    assert "version 5.1 and 5.2" in str(refused.value)
    assert "--workflow-version 5.1 --workflow-version 5.2" in str(refused.value)
    for versions in (("5.1", "5.2"), ("5",)):
        assert labels(file, *YES_NO, versions=versions).counted == 2
    assert labels(file, *YES_NO, versions=("6.0",)).counted == 1


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"task": "T9"}, "no answers of task T9; it has task T0"),
        ({"workflow": "99"}, "no answers of workflow 99; it has"),
        ({"versions": ("7",)}, "no answers of workflow version 7; it has"),
    ],
)
def test_a_question_that_is_not_there_is_refused_with_those_that_are(decision_tree, wanted, words):
    with pytest.raises(InputError, match=words):
        labels(decision_tree, *YES_NO, **wanted)


def test_answers_none_of_which_means_a_class_are_listed(tmp_path):
    rows = [classification(f"u{n}", 1, task("Smooth")) for n in range(3)]
    with pytest.raises(InputError, match=r"no answer in .* means a class: task T0 'Smooth' \(3\).*--answer"):
        labels(write_classifications(tmp_path / "c.csv", rows))


def test_answers_that_are_said_to_mean_none_are_no_error(tmp_path):
    rows = [classification(f"u{n}", 1, task("Star")) for n in range(3)]
    found = labels(write_classifications(tmp_path / "c.csv", rows), "Star=none")
    assert found.counted == 3 and not found.table.rows and "no majority" in found.table.rejections[0].reason
