"""A subject in several sets and workflows has several rows in the export of subjects; reductions may come twice too."""

from pathlib import Path

from support.platform_exports import write_subjects
from support.workspaces import write_csv

HEADER = ("subject_id", "workflow_id", "task", "reducer", "data.smooth", "data.features")
first = (70, 1, "T0", "question_reducer", 9, 1)
write_csv(Path("r.csv"), HEADER, first, (71, 1, "T0", "question_reducer", 2, 8))
write_csv(Path("twice.csv"), HEADER, (72, 1, "T0", "question_reducer", 9, 1), (72, 1, "T0", "question_reducer", 1, 19))
write_subjects(Path("subjects.csv"), {70: 1000, 71: 1001, 72: 1002})
lines = Path("subjects.csv").read_text().splitlines()
Path("subjects.csv").write_text("\n".join([*lines, *lines[1:]]) + "\n")
Path("clash.csv").write_text("\n".join([*lines, lines[1].replace("1000", "1009")]) + "\n")
