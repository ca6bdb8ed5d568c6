"""The header row begins with `#`, as numpy and TOPCAT write it, or comments stand above it."""

from pathlib import Path

Path("labels.csv").write_text("# my labels\n#object_id,label\n1000,spiral\n1001,elliptical\n")
Path("truth.csv").write_text("# made by hand, in May\n#\nobject_id,label\n1002,spiral\n")
