"""Labelling on Zooniverse and in Label Studio: export objects with their stamps, import the answers."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.new_workspace import create_workspace
from support.workspaces import SIZE, add_objects, ask, cli, failed, galaxy, write_csv, write_images

from catbuilder.active_learning.answer_meanings import parse_answer_classes
from catbuilder.active_learning.answers import import_labels
from catbuilder.active_learning.platform_answers import read_annotations
from catbuilder.active_learning.platform_subjects import export_subjects
from catbuilder.active_learning.select_objects import select_objects
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError
from catbuilder.core.settings import Limits
from catbuilder.ingest.images import ingest_images

FIRST = 2**53 + 1  # which a float does not hold
IDS = [FIRST + n for n in range(6)]
CLASSES = ("elliptical", "spiral")


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> Path:
    """Six objects with images; copy it, do not change it."""
    folder = tmp_path_factory.mktemp("layouts")
    workspace = create_workspace(folder / "ws", CLASSES, SIZE)
    write_images(folder / "images", [f"{n}.png" for n in IDS])
    rows = [(n, f"{n}.png", 10 + i, -1.5) for i, n in enumerate(IDS)]
    table = write_csv(folder / "t.csv", ("object_id", "file", "ra", "dec"), *rows)
    ingest_images(workspace, folder / "images", table, survey="des", split="pool")
    return workspace.path


@pytest.fixture
def workspace(pool, tmp_path) -> Workspace:
    return Workspace.open(shutil.copytree(pool, tmp_path / "ws"))


def standing(workspace: Workspace) -> dict[int, tuple]:
    text = "SELECT object_id, label, source, annotator, round(confidence, 4) FROM standing_labels_at()"
    return {row[0]: row[1:] for row in ask(workspace, text)}


def classifications(file: Path, manifest: Path, *answers: tuple[int, str, str]) -> Path:
    """A project's export in Zooniverse's columns: each answer is the subject's place, the volunteer, and the answer."""
    with open(manifest, newline="") as lines:
        subjects = list(csv.DictReader(lines))
    rows = [
        (
            900 + i, user, "", f"hash{i}", 17, "Galaxies", "3.14", "2026-11-20 10:00:00 UTC", "", "", '{"session":"x"}',
            json.dumps([{"task": "T0", "task_label": "Spiral, or elliptical?", "value": value}]),
            json.dumps({f"{5000 + place}": {"retired": None, **subjects[place]}}), 5000 + place,
        )
        for i, (place, user, value) in enumerate(answers)
    ]  # fmt: skip
    header = (
        "classification_id,user_name,user_id,user_ip,workflow_id,workflow_name,workflow_version,created_at,"
        "gold_standard,expert,metadata,annotations,subject_data,subject_ids"
    )
    return write_csv(file, header.split(","), *rows)


def annotated(file: Path, tasks: Path, answers: dict[int, list[tuple[object, str]]]) -> Path:
    """Label Studio's JSON export of the tasks: of each place the annotations, by whom and what."""
    found = []
    for place, task in enumerate(json.loads(tasks.read_text())):
        annotations = [
            {"id": 70 + place, "completed_by": who, "was_cancelled": False, "lead_time": 3.2,
             "result": [{"id": "x", "type": "choices", "from_name": "label", "to_name": "image", "origin": "manual",
                         "value": {"choices": [choice]}}]}
            for who, choice in answers.get(place, [])
        ]  # fmt: skip
        found.append({"id": place + 1, "annotations": annotations, "predictions": [], "project": 1, **task})
    file.write_text(json.dumps(found))
    return file


def test_zooniverse_gets_stamps_and_a_manifest_with_hidden_fields(workspace, tmp_path):
    select_objects(workspace, "random", 4)
    folder = tmp_path / "subjects"
    done = cli("-w", workspace.path, "labels", "export", folder, "--layout", "zooniverse")
    assert done.code == 0 and "4 objects written" in done.out
    with open(folder / "manifest.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["image", "#survey", "#object_id", "#ra", "#dec"] and len(rows) == 4
    for row in rows:
        place = int(row["#object_id"]) - FIRST
        assert (row["#survey"], float(row["#ra"])) == ("des", 10 + place)
        assert np.array_equal(np.asarray(Image.open(folder / row["image"])), galaxy(place))
    assert {path.name for path in folder.iterdir()} == {row["image"] for row in rows} | {"manifest.csv"}


def test_the_majority_of_zooniverse_answers_becomes_the_label(workspace, tmp_path):
    select_objects(workspace, "random", 6)
    export_subjects(workspace, tmp_path / "subjects", "zooniverse")
    said = classifications(
        tmp_path / "export.csv", tmp_path / "subjects" / "manifest.csv",
        (0, "ann", "Spiral"), (0, "bob", "spiral"), (0, "cy", "Elliptical"),
        (1, "ann", "elliptical"),
        (2, "ann", "spiral"), (2, "bob", "elliptical"),
        (3, "ann", "spiral"), (3, "ann", "elliptical"),  # ann thinks again
        (4, "ann", "A star"),
    )  # fmt: skip
    done = cli("-w", workspace.path, "labels", "import", said, "--layout", "zooniverse")
    assert done.code == 0 and "3 labels recorded" in done.out and "2 rows could not be used" in done.err
    assert (
        "there is no majority" in done.err and "mean no class, and count against the others: 'A star' (1)" in done.err
    )
    assert standing(workspace) == {
        IDS[0]: ("spiral", "human", "zooniverse: 2 of 3", pytest.approx(0.6667)),
        IDS[1]: ("elliptical", "human", "ann", None),
        IDS[3]: ("elliptical", "human", "ann", None),
    }
    assert ask(workspace, "SELECT count(*) FROM rejections") == [(2,)]
    again = import_labels(workspace, said, layout="zooniverse", answers=["A star=elliptical"])
    assert (again.recorded, again.unchanged, len(again.rejections)) == (1, 3, 1)


def test_label_studio_gets_tasks_and_gives_labels_back(workspace, tmp_path):
    select_objects(workspace, "random", 5)
    folder = tmp_path / "tasks"
    done = cli("-w", workspace.path, "labels", "export", folder, "--layout", "labelstudio")
    assert done.code == 0 and "5 objects written" in done.out
    tasks = json.loads((folder / "tasks.json").read_text())
    assert all(isinstance(task["data"]["object_id"], str) for task in tasks)
    image = tasks[0]["data"]["image"]
    assert image.startswith("/data/local-files/?d=tasks/images/des-") and (tmp_path / image.partition("=")[2]).is_file()
    assert '<Choice value="spiral"/>' in (folder / "label_config.xml").read_text()
    said = annotated(
        tmp_path / "export.json", folder / "tasks.json",
        {0: [({"id": 4, "email": "ann@example.org"}, "spiral")], 1: [(7, "elliptical")],
         2: [(7, "spiral"), (8, "spiral"), (9, "elliptical")]},
    )  # fmt: skip
    report = import_labels(workspace, said, layout="labelstudio")
    assert report.recorded == 3 and [r.reason for r in report.rejections] == ["nobody has answered it"] * 2
    ids = [int(task["data"]["object_id"]) for task in tasks]
    assert standing(workspace) == {
        ids[0]: ("spiral", "human", "ann@example.org", None),
        ids[1]: ("elliptical", "human", "labelstudio user 7", None),
        ids[2]: ("spiral", "human", "labelstudio: 2 of 3", pytest.approx(0.6667)),
    }
    # what is answered is asked about no more
    failed(cli("-w", workspace.path, "labels", "export", folder, "--layout", "labelstudio"), "exists already")
    assert export_subjects(workspace, tmp_path / "rest", "labelstudio") == 2


def test_a_table_of_select_limits_the_export(workspace, tmp_path):
    failed(
        cli("-w", workspace.path, "labels", "export", tmp_path / "none", "--layout", "zooniverse"),
        "no question is open",
    )
    cli("-w", workspace.path, "select", "--strategy", "random", "--n", 3, "--out", tmp_path / "ask.csv")
    select_objects(workspace, "random", 6)
    assert export_subjects(workspace, tmp_path / "three", "zooniverse", tmp_path / "ask.csv") == 3
    unknown = write_csv(tmp_path / "unknown.csv", ("survey", "object_id"), ("des", IDS[0]), ("des", 5))
    with pytest.raises(InputError, match="des 5 has no good stamp"):
        export_subjects(workspace, tmp_path / "unknown", "zooniverse", unknown)


def test_an_object_that_has_become_a_test_galaxy_is_not_exported(workspace, tmp_path):
    select_objects(workspace, "random", 6)
    with workspace.recording("a test object in the same place") as recording:
        add_objects(recording, "sdss", [7], ra=[10.0], dec=[-1.5])
        recording.con.execute("INSERT INTO test_sets VALUES ('FO', 'sdss', 7, 'spiral', 0.9, ?, ?, NULL)",
                              [recording.round, recording.run])  # fmt: skip
    assert export_subjects(workspace, tmp_path / "subjects", "zooniverse") == 5
    assert not (tmp_path / "subjects" / f"des-{IDS[0]}.png").exists()


@given(said=st.dictionaries(st.integers(0, 5), st.sampled_from(CLASSES), min_size=1))
@settings(max_examples=25, deadline=None)
def test_labels_survive_the_round_trip_through_either_layout(tmp_path_factory, said):
    """Round trip through the two files alone, whatever was answered."""
    folder = tmp_path_factory.mktemp("trip")
    manifest = write_csv(folder / "manifest.csv", ("image", "#survey", "#object_id"),
                         *((f"{n}.png", "des", n) for n in IDS))  # fmt: skip
    tasks = folder / "tasks.json"
    tasks.write_text(json.dumps([{"data": {"survey": "des", "object_id": str(n)}} for n in IDS]))
    files = {
        "zooniverse": classifications(folder / "z.csv", manifest, *((n, "ann", kind) for n, kind in said.items())),
        "labelstudio": annotated(folder / "l.json", tasks, {n: [("ann", kind)] for n, kind in said.items()}),
    }
    for layout, file in files.items():
        table = read_annotations(file, layout, parse_answer_classes((), CLASSES), Limits()).table
        found = {(row.cells["survey"], int(row.cells["object_id"])): row.cells["label"] for row in table.rows}
        assert found == {("des", IDS[n]): kind for n, kind in said.items()}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1}', "not a list of tasks"),
        ("not JSON", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_file_that_is_no_label_studio_export_is_refused(workspace, tmp_path, text, reason):
    file = tmp_path / "export.json"
    file.write_text(text)
    failed(cli("-w", workspace.path, "labels", "import", file, "--layout", "labelstudio"), reason)
    failed(
        cli("-w", workspace.path, "labels", "import", tmp_path / "none", "--layout", "labelstudio"), "cannot be read"
    )


def test_bad_rows_are_rejected_and_the_good_ones_load(workspace, tmp_path):
    good = json.dumps({"1": {"#object_id": IDS[0], "#survey": "des"}})
    answer = json.dumps([{"task": "T0", "value": "spiral"}])
    file = write_csv(
        tmp_path / "export.csv", ("user_name", "annotations", "subject_data"),
        ("ann", answer, good), ("ann", "{", good), ("ann", answer, '{"1": {"name": "x"}}'), ("ann", answer, "[]"),
        ("ann", "null", good), ("ann", json.dumps([{"task": "T1", "value": [{"x": 3}]}]), good),
        ("ann", answer, json.dumps({"1": {"object_id": 77, "survey": "des"}})),
    )  # fmt: skip
    report = import_labels(workspace, file, layout="zooniverse")
    assert report.recorded == 1
    reasons = [rejection.reason for rejection in report.rejections]
    for words in (
        "annotations is not JSON",
        "has no object_id",
        "exactly one subject",
        "is not a list of answers",
        "no object 77",
    ):
        assert any(words in reason for reason in reasons), (words, reasons)
    assert [rejection.row for rejection in report.rejections] == [3, 4, 5, 6, 8]


def test_inconsistent_options_are_refused(workspace, tmp_path):
    table = write_csv(tmp_path / "t.csv", ("object_id", "label"), (IDS[0], "spiral"))
    failed(cli("-w", workspace.path, "labels", "import", table, "--layout", "csv"), "no layout 'csv'", "labelstudio")
    file = write_csv(tmp_path / "z.csv", ("annotations", "subject_data"), ("[]", "{}"))
    done = cli("-w", workspace.path, "labels", "import", file, "--layout", "zooniverse", "--answer", "Smooth=round")
    failed(done, "Smooth=round", "ANSWER=CLASS", "elliptical, spiral")
    failed(cli("-w", workspace.path, "labels", "export", tmp_path / "l.csv", "--table", table), "--layout zooniverse")
    failed(
        cli("-w", workspace.path, "labels", "import", table, "--layout", "zooniverse"),
        "is a plain table",
        "leave out --layout",
    )
    for options in (("--answer", "x=spiral"), ("--task", "T0"), ("--workflow", "1"), ("--subjects", table)):
        failed(cli("-w", workspace.path, "labels", "import", table, *options), "--layout zooniverse or labelstudio")
    failed(cli("-w", workspace.path, "labels", "import", file), "export of classifications", "--layout zooniverse")
