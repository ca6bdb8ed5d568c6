"""Answers from a platform as labels: no input raises anything but a refusal, and every answer is accounted for."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.platform_exports import (
    CLASSIFICATIONS,
    annotation,
    classification,
    task,
    write_classifications,
    write_subjects,
    write_tasks,
)
from support.workspaces import write_csv

from catbuilder.active_learning.answer_meanings import parse_answer_classes
from catbuilder.active_learning.platform_answers import PlatformLabels, read_annotations
from catbuilder.active_learning.platform_layouts import Layout
from catbuilder.core.errors import InputError
from catbuilder.core.settings import Limits

CLASSES = ("elliptical", "spiral")
MEANINGS = parse_answer_classes(["Smooth=elliptical", "Features=spiral", "Star=none"], CLASSES)
WORDS = ("Smooth", "Features", "Star", "A ring", "spiral", "Yes")

words = st.sampled_from(WORDS)
NAMES = (
    "task", "value", "choice", "label", "option", "task_label", "object_id", "#Object_ID", "choices", "type", "result",
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | words,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inside, max_size=3),
    max_leaves=6,
)
values = words | st.lists(words, max_size=3) | st.none()
people = st.sampled_from(["ann", "bob", "not-logged-in-1", ""])
times = st.sampled_from(["2026-11-20 10:00:00 UTC", "2026-11-21 10:00:00 UTC", "", "soon"])


def read(file: Path, layout: Layout, subjects: Path | None = None) -> PlatformLabels:
    return read_annotations(file, layout, MEANINGS, Limits(), subjects=subjects)


def sum_of(found: PlatformLabels) -> int:
    return found.counted + found.replaced + found.passed_over + found.unusable + found.of_other_questions


@given(
    said=st.lists(
        st.tuples(people, st.integers(0, 3), st.sampled_from(["T0", "T1"]), values, times), min_size=1, max_size=12
    ),
    bad=st.lists(st.sampled_from(["{", "[]", "null", "7"]), max_size=3),
)
@settings(max_examples=150, deadline=None)
def test_every_classification_is_counted_replaced_passed_over_or_unusable(tmp_path_factory, said, bad):
    folder = tmp_path_factory.mktemp("z")
    rows: list[tuple[Any, ...]] = [
        classification(who, n, task(value, name), when=when) for who, n, name, value, when in said
    ]
    for text in bad:
        broken = list(classification("cy", 1, task("Smooth")))
        broken[CLASSIFICATIONS.index("annotations")] = text
        rows.append(tuple(broken))
    try:
        found = read(write_classifications(folder / "c.csv", rows), "zooniverse")
    except InputError as refused:
        assert "means a class" in str(refused) or "several questions" in str(refused)
        return
    assert sum_of(found) == len(said) + len(bad)
    for row in found.table.rows:
        assert row.cells["label"] in CLASSES and (not row.cells["confidence"] or float(row.cells["confidence"]) > 0.5)


@given(
    said=st.lists(
        st.tuples(st.integers(0, 3), st.lists(st.tuples(people, st.lists(words, max_size=3)), max_size=4)),
        min_size=1, max_size=8,
    )
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_every_annotation_is_counted_replaced_passed_over_or_unusable(tmp_path_factory, said):
    folder = tmp_path_factory.mktemp("l")
    tasks = [(n, [annotation(who, *choices) for who, choices in given]) for n, given in said]
    try:
        found = read(write_tasks(folder / "e.json", tasks), "labelstudio")
    except InputError as refused:
        assert "means a class" in str(refused)
        return
    assert sum_of(found) == sum(max(1, len(given)) for _, given in said)  # a task without an answer is a rejection


@given(
    said=st.lists(st.tuples(st.integers(5, 7), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1,
                  max_size=6, unique_by=lambda row: row[0])
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_every_counted_vote_is_in_the_reductions(tmp_path_factory, said):
    folder = tmp_path_factory.mktemp("r")
    header = ("subject_id", "workflow_id", "task", "reducer", "data.smooth", "data.features", "data.star")
    file = write_csv(folder / "r.csv", header, *((n, 1, "T0", "question_reducer", *votes) for n, *votes in said))
    subjects = write_subjects(folder / "s.csv", {5: 5, 6: 6, 7: 7})
    found = read(file, "zooniverse", subjects)
    assert sum_of(found) == sum(sum(votes) for _, *votes in said)
    for row in found.table.rows:
        _, smooth, features, star = next(one for one in said if str(one[0]) == row.cells["object_id"])
        best = smooth if row.cells["label"] == "elliptical" else features
        assert 2 * best > smooth + features + star


@given(
    cells=st.lists(st.tuples(anything, anything), min_size=1, max_size=5),
    layout=st.sampled_from(["zooniverse", "labelstudio"]),
)
@settings(max_examples=300, deadline=None)
def test_no_content_of_an_export_raises_anything_but_a_refusal(tmp_path_factory, cells, layout):
    folder = tmp_path_factory.mktemp("any")
    if layout == "zooniverse":
        rows = [("ann", json.dumps(one), json.dumps({"5": other})) for one, other in cells]
        file = write_csv(folder / "c.csv", ("user_name", "annotations", "subject_data"), *rows)
    else:
        file = folder / "e.json"
        items = [{"data": one, "annotations": other} for one, other in cells]
        file.write_text(
            json.dumps(
                [*items, *(one for one, _ in cells), {"annotator": cells[0][0], "object_id": 5, "label": cells[0][1]}]
            )
        )
    try:
        found = read(file, layout)
    except InputError as refused:
        assert str(refused).isprintable()
        return
    assert all(rejection.reason.isprintable() for rejection in found.table.rejections)


@given(cells=st.lists(st.text(max_size=12) | anything.map(json.dumps) | anything.map(repr), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_no_reduction_raises_anything_but_a_refusal(tmp_path_factory, cells):
    folder = tmp_path_factory.mktemp("red")
    rows = [(5, 1, "T0", cell.encode("utf-8", "replace").decode(), "") for cell in cells]
    file = write_csv(folder / "r.csv", ("subject_id", "workflow_id", "task", "data", "data.smooth"), *rows)
    try:
        read(file, "zooniverse", write_subjects(folder / "s.csv", {5: 5}))
    except InputError as refused:
        assert str(refused).isprintable()


def test_warnings_name_each_unknown_answer_once_and_no_answer_that_is_said_to_mean_none(tmp_path):
    rows = [
        classification(f"u{n}", n % 2, task(value))
        for n, value in enumerate(["A ring"] * 5 + ["Star"] * 4 + ["Smooth"])
    ]
    found = read(write_classifications(tmp_path / "c.csv", rows), "zooniverse")
    assert "'A ring' (5)" in found.warnings[0] and "--answer 'ANSWER=none'" in found.warnings[0]
    assert "Star" not in " ".join(found.warnings) and "Nobody answered 'Features'" in found.warnings[1]


@pytest.mark.parametrize("subject", ["007", 7, "7 "])
def test_one_object_under_several_writings_is_one_object(tmp_path, subject):
    rows = [
        classification("ann", 7, task("Smooth")),
        classification("bob", 7, task("Features"), fields={"object_id": subject, "survey": "des"}),
    ]
    found = read(write_classifications(tmp_path / "c.csv", rows), "zooniverse")
    assert "of 2 people 1 answered elliptical, 1 answered spiral" in found.table.rejections[0].reason
