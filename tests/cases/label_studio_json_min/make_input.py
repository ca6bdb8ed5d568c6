"""JSON-MIN has a row for each annotation, and was told to be no list of tasks."""

import json
from pathlib import Path

row = {
    "image": "/data/x.png", "survey": "des", "object_id": "1002", "id": 1, "label": "spiral", "annotator": 1,
    "annotation_id": 1, "lead_time": 3.2,
}  # fmt: skip
Path("min.json").write_text(json.dumps([row]))
