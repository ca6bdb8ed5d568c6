"""The same votes as Zooniverse has counted them: nine stars and one galaxy with features, in a column each."""

from pathlib import Path

from support.platform_exports import write_subjects
from support.workspaces import write_csv

HEADER = ("subject_id", "workflow_id", "task", "reducer", "data.aggregation_version")
ANSWERS = ("data.features-or-disk", "data.smooth", "data.star-or-artifact")
write_csv(
    Path("question_reducer_reductions.csv"), (*HEADER, *ANSWERS),
    (70, 1, "T0", "question_reducer", "4.1.0", 1.0, "", 9.0), (71, 1, "T0", "question_reducer", "4.1.0", 6.0, 3.0, 1.0),
)  # fmt: skip
write_subjects(Path("subjects.csv"), {70: 1000, 71: 1001})
