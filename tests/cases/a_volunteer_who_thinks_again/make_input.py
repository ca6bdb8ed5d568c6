"""One volunteer answers twice, and the file is not in the order of time; two are not logged in."""

from pathlib import Path

from support.platform_exports import classification, task, write_classifications

rows = [
    classification("ann", 1000, task("Spiral"), when="2026-11-20 12:00:00 UTC"),
    classification("ann", 1000, task("Elliptical"), when="2026-11-20 09:00:00 UTC"),
    classification("not-logged-in-a1", 1001, task("Elliptical")),
    classification("not-logged-in-b2", 1001, task("Elliptical")),
    classification("not-logged-in-b2", 1001, task("Elliptical")),
]
write_classifications(Path("c.csv"), rows)
