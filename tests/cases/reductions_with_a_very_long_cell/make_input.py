"""A table of reductions keeps the names of 20,000 volunteers in one cell."""

from pathlib import Path

from support.platform_exports import write_subjects
from support.workspaces import write_csv

users = str([f"volunteer{n}" for n in range(20_000)])
write_csv(
    Path("r.csv"), ("subject_id", "workflow_id", "task", "reducer", "data.smooth", "data.user_ids.smooth"),
    (70, 1, "T0", "question_reducer", 20_000, users), (71, 1, "T0", "question_reducer", 3, "[1, 2, 3]"),
)  # fmt: skip
write_subjects(Path("subjects.csv"), {70: 1000, 71: 1001})
