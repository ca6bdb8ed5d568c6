"""Exports of labelling platforms as they write them: Zooniverse's classifications and subjects, Label Studio's JSON."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from support.workspaces import write_csv

CLASSIFICATIONS = (
    "classification_id", "user_name", "user_id", "user_ip", "workflow_id", "workflow_name", "workflow_version",
    "created_at", "gold_standard", "expert", "metadata", "annotations", "subject_data", "subject_ids",
)  # fmt: skip


def task(value: object, name: str = "T0", text: str = "What is it?") -> dict[str, Any]:
    """One task of a classification."""
    return {"task": name, "task_label": text, "value": value}


def classification(
    user: str,
    object_id: object,
    *tasks: object,
    workflow: int = 1,
    version: str = "1.2",
    when: str = "2026-11-20 10:00:00 UTC",
    fields: dict[str, Any] | None = None,
) -> tuple[object, ...]:
    """One row of the export of classifications; `fields` are the subject's metadata, by default a hidden object_id."""
    subject = 5000 + int(object_id) % 1000 if str(object_id).isdigit() else 5000
    shown = {"retired": None, **({"#object_id": object_id, "#survey": "des"} if fields is None else fields)}
    return (
        900, user, "", "hash", workflow, "Galaxies", version, when, "", "", '{"session":"x"}', json.dumps(tasks),
        json.dumps({str(subject): shown}), subject,
    )  # fmt: skip


def write_classifications(path: Path, rows: Iterable[tuple[object, ...]]) -> Path:
    """Write Zooniverse's export of classifications."""
    return write_csv(path, CLASSIFICATIONS, *rows)


def write_subjects(path: Path, objects: dict[int, object]) -> Path:
    """Write Zooniverse's export of subjects: the object of each subject."""
    header = ("subject_id", "project_id", "workflow_id", "subject_set_id", "metadata", "locations")
    rows = [(n, 1, 2, 3, json.dumps({"#object_id": one, "#survey": "des"}), "{}") for n, one in objects.items()]
    return write_csv(path, header, *rows)


def annotation(who: object, *choices: object, control: str = "label", **more: object) -> dict[str, Any]:
    """One annotation of Label Studio."""
    result = {
        "id": "x",
        "type": "choices",
        "from_name": control,
        "to_name": "image",
        "value": {"choices": list(choices)},
    }
    return {"id": 70, "completed_by": who, "was_cancelled": False, "result": [result], **more}


def write_tasks(path: Path, tasks: Iterable[tuple[object, list[dict[str, Any]]]]) -> Path:
    """Write Label Studio's JSON: each task is an object_id and its annotations."""
    found = [
        {"id": n, "annotations": annotations, "predictions": [], "data": {"object_id": object_id, "survey": "des"}}
        for n, (object_id, annotations) in enumerate(tasks, start=1)
    ]
    path.write_text(json.dumps(found), encoding="utf-8")
    return path
