"""In CSV and TSV an answer of several choices is JSON in a cell: two kinds of spiral, or a spiral and an elliptical."""

from pathlib import Path

HEADER = ["annotation_id", "annotator", "choice", "id", "lead_time", "object_id", "survey"]
ROWS = [
    [1, 7, '"{""choices"": [""Sa"", ""Sb""]}"', 1, 3.2, 1000, "des"],
    [2, 7, '"{""choices"": [""Sa"", ""elliptical""]}"', 2, 3.2, 1001, "des"],
    [3, 8, "Sa", 2, 3.2, 1001, "des"],
]
for name, between in (("export.csv", ","), ("export.tsv", "\t")):
    Path(name).write_text("\n".join(between.join(map(str, row)) for row in [HEADER, *ROWS]) + "\n")
