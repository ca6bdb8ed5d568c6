"""Ids as numbers of JSON: whole ones keep every digit, those with a point or an exponent may have lost some."""

from pathlib import Path

ids = ("1000", '"1001"', "1002.0", "9.007199254740993e15", "true")
rows = [
    f'{{"object_id": {one}, "survey": "des", "label": "spiral", "annotator": 7, "annotation_id": {n}, "lead_time": 1}}'
    for n, one in enumerate(ids)
]
Path("min.json").write_text(f"[{', '.join(rows)}]")
