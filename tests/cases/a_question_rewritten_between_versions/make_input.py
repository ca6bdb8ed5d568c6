"""Task T0 asked for spiral arms in version 5 of the workflow, and for a smooth light in version 6."""

from pathlib import Path

from support.platform_exports import classification, task, write_classifications

rows = [classification(f"u{n}", 1000, task("Yes", text="Spiral arms?"), version="5.17") for n in range(2)]
rows += [classification(f"v{n}", 1000, task("Yes", text="Is it smooth?"), version="6.1") for n in range(3)]
write_classifications(Path("c.csv"), rows)
