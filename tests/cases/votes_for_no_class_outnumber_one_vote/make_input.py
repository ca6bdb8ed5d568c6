"""Nine of ten volunteers see a star or an artifact, and one a galaxy with features."""

from pathlib import Path

from support.platform_exports import classification, task, write_classifications

rows = [classification(f"u{n}", 1000, task("Star or Artifact")) for n in range(9)]
write_classifications(Path("c.csv"), [*rows, classification("u99", 1000, task("Features or Disk"))])
