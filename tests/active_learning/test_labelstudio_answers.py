"""The answers in Label Studio's exports: JSON, JSON-MIN, CSV and TSV."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from support.platform_exports import annotation, write_tasks

from catbuilder.active_learning.answer_meanings import parse_answer_classes
from catbuilder.active_learning.counted_question import WantedQuestion
from catbuilder.active_learning.platform_answers import PlatformLabels, read_annotations
from catbuilder.core.errors import InputError
from catbuilder.core.settings import Limits

CLASSES = ("elliptical", "spiral")
BIG = 2**53 + 1


def read(file: Path, *answers: str, task: str | None = None) -> PlatformLabels:
    meanings = parse_answer_classes(answers, CLASSES)
    return read_annotations(file, "labelstudio", meanings, Limits(), wanted=WantedQuestion(task))


def labels(found: PlatformLabels) -> dict[int, tuple[str, str]]:
    return {int(row.cells["object_id"]): (row.cells["label"], row.cells["annotator"]) for row in found.table.rows}


def row(object_id: object, label: object, annotator: object, **more: object) -> dict[str, Any]:
    """One row of JSON-MIN."""
    return {
        "image": "/data/x.png", "survey": "des", "object_id": object_id, "id": 1, "label": label,
        "annotator": annotator, "annotation_id": 70, "created_at": "2026-11-20T10:00:00Z", "lead_time": 3.2, **more,
    }  # fmt: skip


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """JSON-MIN, or CSV or TSV as Label Studio's converter writes it, by the suffix."""
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
        return path
    with open(path, "w", newline="") as out:
        writer = csv.DictWriter(
            out,
            sorted({name for one in rows for name in one}),
            quoting=csv.QUOTE_NONNUMERIC,
            delimiter="\t" if path.suffix == ".tsv" else ",",
        )
        writer.writeheader()
        for one in rows:
            writer.writerow({k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in one.items()})
    return path


@pytest.mark.parametrize("suffix", [".json", ".csv", ".tsv"])
def test_a_row_for_each_annotation_is_read_in_every_form(tmp_path, suffix):
    rows = [
        row(str(BIG), "spiral", 1), row(str(BIG), "spiral", 2), row(str(BIG), "elliptical", "cy@example.org"),
        row(BIG + 1, {"choices": ["elliptical"]}, 1), row(BIG + 2, ["spiral"], 7),
    ]  # fmt: skip
    found = read(write(tmp_path / f"e{suffix}", rows))
    assert labels(found) == {
        BIG: ("spiral", "labelstudio: 2 of 3"),
        BIG + 1: ("elliptical", "labelstudio user 1"),
        BIG + 2: ("spiral", "labelstudio user 7"),
    }
    assert (found.counted, found.unusable) == (5, 0)


@pytest.mark.parametrize("suffix", [".json", ".csv", ".tsv"])
def test_both_classes_ticked_is_no_answer_and_does_not_lose_the_others(tmp_path, suffix):
    rows = [row(5, {"choices": ["spiral", "elliptical"]}, 1), row(5, "spiral", 2), row(6, ["Sa", "Sb"], 1)]
    found = read(write(tmp_path / f"e{suffix}", rows), "Sa=spiral", "Sb=spiral")
    assert labels(found) == {5: ("spiral", "labelstudio user 2"), 6: ("spiral", "labelstudio user 1")}
    assert found.unusable == 1 and "'spiral' and 'elliptical'" in found.table.rejections[0].reason


def test_both_classes_ticked_in_json_is_no_answer(tmp_path):
    tasks = [
        (1, [annotation(1, "spiral", "elliptical")]),
        (2, [annotation(1, "spiral", "elliptical"), annotation(2, "spiral")]),
    ]
    found = read(write_tasks(tmp_path / "e.json", tasks))
    assert labels(found) == {2: ("spiral", "labelstudio user 2")} and found.unusable == 2


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_the_latest_annotation_of_a_person_counts(tmp_path, suffix):
    late, early = {"created_at": "2026-11-21T10:00:00.5Z"}, {"created_at": "2026-11-20T10:00:00Z"}
    rows = [
        row(5, "spiral", 1, **late),
        row(5, "elliptical", 1, **early),
        row(6, "spiral", None),
        row(6, "spiral", None),
    ]
    rows[3]["annotation_id"] = 71
    found = read(write(tmp_path / f"e{suffix}", rows))
    assert labels(found) == {5: ("spiral", "labelstudio user 1"), 6: ("spiral", "labelstudio: 2 of 2")}
    assert found.replaced == 1


def test_skipped_annotations_and_rows_that_nobody_answered_are_no_votes(tmp_path):
    tasks = [(1, [annotation(1, "spiral"), annotation(2, "elliptical", was_cancelled=True)]), (2, [])]
    found = read(write_tasks(tmp_path / "e.json", tasks))
    assert labels(found) == {1: ("spiral", "labelstudio user 1")} and found.passed_over == 1
    assert [one.reason for one in found.table.rejections] == ["nobody has answered it"]
    empty = {"image": "x", "object_id": 2, "annotator": None, "annotation_id": None, "lead_time": None}
    flat = read(write(tmp_path / "m.json", [row(1, "spiral", 1), row(3, None, 1), empty]))
    assert labels(flat) == {1: ("spiral", "labelstudio user 1")} and flat.passed_over == 1
    assert [one.reason for one in flat.table.rejections] == ["nobody has answered it"]


def test_an_annotation_that_cannot_be_read_does_not_lose_the_others(tmp_path):
    found = read(write_tasks(tmp_path / "e.json", [(1, [annotation(1, "spiral"), "x", {"result": 5}])]))
    assert labels(found) == {1: ("spiral", "labelstudio user 1")} and found.unusable == 2


def test_two_controls_are_two_questions(tmp_path):
    both = annotation(1, "spiral")
    both["result"] += annotation(1, "elliptical", control="second look")["result"]
    file = write_tasks(tmp_path / "e.json", [(1, [both])])
    with pytest.raises(InputError, match=r"several questions.*--task"):
        read(file)
    assert labels(read(file, task="second look"))[1][0] == "elliptical"
    rows = [row(1, "spiral", 1, choice="elliptical")]
    with pytest.raises(InputError, match=r"task choice \(1 answer\), task label \(1 answer\)"):
        read(write(tmp_path / "m.json", rows))
    assert labels(read(tmp_path / "m.json", task="choice"))[1][0] == "elliptical"


def test_a_class_in_the_data_of_a_task_is_not_taken_for_the_answer(tmp_path):
    rows = [row(1, "Smooth", 1, sdss_class="spiral", _data_label="spiral")]
    with pytest.raises(InputError, match="several questions that could be meant"):
        read(write(tmp_path / "m.json", rows))
    assert labels(read(tmp_path / "m.json", "Smooth=elliptical", task="label"))[1][0] == "elliptical"


@pytest.mark.parametrize("object_id", [float(BIG), 1002.0, 1e400, True, None, [], ""])
def test_ids_that_are_no_whole_number_or_text_are_refused(tmp_path, object_id):
    rows = [row(object_id, "spiral", 1), row(BIG, "spiral", 1)]
    flat = read(write(tmp_path / "m.json", rows))
    whole = read(
        write_tasks(tmp_path / "e.json", [(object_id, [annotation(1, "spiral")]), (BIG, [annotation(1, "spiral")])])
    )
    for found in (flat, whole):
        assert set(labels(found)) == {BIG} and len(found.table.rejections) == 1


def test_a_table_without_any_class_names_its_columns(tmp_path):
    one = row(1, "x", 1, shape="round")
    del one["label"]
    with pytest.raises(InputError, match=r"no column of .* says a class \(it has shape\).*--task"):
        read(write(tmp_path / "m.json", [one]))


def test_options_of_zooniverse_are_refused(tmp_path):
    file = write_tasks(tmp_path / "e.json", [(1, [annotation(1, "spiral")])])
    meanings = parse_answer_classes((), CLASSES)
    with pytest.raises(InputError, match="no workflows"):
        read_annotations(file, "labelstudio", meanings, Limits(), wanted=WantedQuestion(workflow="1"))
    with pytest.raises(InputError, match="--subjects is for Zooniverse"):
        read_annotations(file, "labelstudio", meanings, Limits(), subjects=file)
