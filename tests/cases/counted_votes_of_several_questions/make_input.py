"""The votes of a decision tree in one table of reductions: yes and no of two tasks."""

from pathlib import Path

from support.platform_exports import write_subjects
from support.workspaces import write_csv

write_csv(
    Path("r.csv"), ("subject_id", "workflow_id", "task", "reducer", "data.yes", "data.no"),
    (70, 1, "T1", "question_reducer", 9, 1), (70, 1, "T3", "question_reducer", 2, 8),
)  # fmt: skip
write_subjects(Path("subjects.csv"), {70: 1000})
