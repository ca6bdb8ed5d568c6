"""A question within a combination of tasks, a task without its text, and one click that was counted twice."""

from pathlib import Path

from support.platform_exports import classification, task, write_classifications

combined = {"task": "T9", "task_label": None, "value": [task("Spiral"), task("No", "T1", "A bar?")]}
rows = [
    classification("ann", 1000, combined),
    classification("ann", 1001, {"task": "T0", "task_label": None, "value": "Spiral"}),
    classification("bob", 1002, task("Spiral"), when="2026-11-20 15:30:06 UTC"),
    classification("bob", 1002, task("Spiral"), when="2026-11-20 15:30:06 UTC"),
    classification("cyd", 1002, task("Elliptical")),
]
write_classifications(Path("c.csv"), rows)
