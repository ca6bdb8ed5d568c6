"""After the first import more volunteers answered, and there is no majority any more."""

from pathlib import Path

from support.platform_exports import classification, task, write_classifications

first = [classification("ann", 1000, task("Spiral")), classification("bob", 1000, task("Spiral"))]
write_classifications(Path("may.csv"), first)
write_classifications(Path("june.csv"), [*first, *(classification(f"u{n}", 1000, task("Star")) for n in range(6))])
