"""Two of three annotators cannot tell, one says spiral; the export is JSON-MIN."""

import json
from pathlib import Path

rows = [
    {"image": "x.png", "survey": "des", "object_id": "1000", "id": 1, "label": said, "annotator": who,
     "annotation_id": who, "lead_time": 1.5}
    for who, said in enumerate(["Cannot tell", "spiral", "Cannot tell"], start=1)
]  # fmt: skip
Path("min.json").write_text(json.dumps(rows))
