"""Caesar's consensus keeps the answer with most votes: four of ten are no majority, seven of ten are."""

from pathlib import Path

from support.platform_exports import write_subjects
from support.workspaces import write_csv

HEADER = ("id", "reducer_key", "workflow_id", "subject_id", "created_at", "updated_at", "subgroup")
write_csv(
    Path("reductions.csv"), (*HEADER, "data.most_likely", "data.num_votes", "data.agreement"),
    (1, "consensus", 1, 70, "", "", "_default", "1", 4, 0.4), (2, "consensus", 1, 71, "", "", "_default", "1", 7, 0.7),
)  # fmt: skip
write_subjects(Path("subjects.csv"), {70: 1000, 71: 1001})
