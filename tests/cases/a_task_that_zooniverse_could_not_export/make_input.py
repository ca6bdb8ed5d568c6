"""Zooniverse writes an error in the place of a task, and null for a question that was left out."""

from pathlib import Path

from support.platform_exports import classification, task, write_classifications

rows = [
    classification("ann", 1000, {"error": "task cannot be exported"}, task("Spiral")),
    classification("bob", 1000, task(None)),
    classification("cy", 1000, task("unknown answer label")),
    classification("dee", 1000, task("Spiral")),
]
write_classifications(Path("c.csv"), rows)
