"""A beta workflow asked the same question, and one classification has the tasks of the wrong workflow."""

from pathlib import Path

from support.platform_exports import classification, task, write_classifications

rows = [classification(f"u{n}", 1000, task("Spiral"), workflow=17) for n in range(3)]
rows += [classification(f"v{n}", 1000, task("Elliptical"), workflow=99) for n in range(5)]
rows.append(classification("w", 1000, task([{"tool": 0, "x": 1.5, "y": 2.5}], "T7", "Mark the core"), workflow=17))
write_classifications(Path("c.csv"), rows)
