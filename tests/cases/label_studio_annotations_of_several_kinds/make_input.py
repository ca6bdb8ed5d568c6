"""Annotations that are empty, imported without an author, only predicted, exported twice, or named completions."""

import json
from pathlib import Path

from support.platform_exports import annotation, write_tasks

unsigned = annotation(None, "spiral")
del unsigned["completed_by"], unsigned["id"]
empty = {"id": 71, "completed_by": 7, "was_cancelled": False, "result": []}
tasks = [(1000, [annotation(7, "spiral")]), (1001, [empty]), (1002, [unsigned]), (1003, [])]
write_tasks(Path("a.json"), tasks)
found = json.loads(Path("a.json").read_text())
found[3]["predictions"] = [286]
found[2]["predictions"] = [annotation(None, "elliptical", model_version="m")]
Path("a.json").write_text(json.dumps(found))
write_tasks(Path("b.json"), [*tasks[:1], (1004, [annotation(7, "elliptical"), annotation(8, "elliptical", id=72)])])
old = [
    {"id": 9, "data": {"object_id": 1005, "survey": "des"}, "completions": [annotation(7, "spiral")], "predictions": []}
]
Path("old.json").write_text(json.dumps(old))
