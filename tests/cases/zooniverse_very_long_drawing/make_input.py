"""A drawing of 9,000 points in the annotations: one cell of 450,000 letters between two answers."""

from pathlib import Path

from support.platform_exports import classification, task, write_classifications

points = [{"x": i * 0.1, "y": i * 0.2} for i in range(9000)]
rows = [
    classification("ann", 1001, task("Smooth")),
    classification("bob", 1002, task([{"tool": 0, "points": points}], "T5", "Trace it"), workflow=2),
    classification("cyd", 1003, task("Smooth")),
]
write_classifications(Path("c.csv"), rows)
