"""Four of ten volunteers see a spiral, three an elliptical, three a ring; of another object two see each class."""

from pathlib import Path

from support.platform_exports import classification, task, write_classifications

said = ["Spiral"] * 4 + ["Elliptical"] * 3 + ["Ring"] * 3
rows = [classification(f"u{n}", 1000, task(one)) for n, one in enumerate(said)]
rows += [classification(f"u{n}", 1001, task(one)) for n, one in enumerate(["Spiral", "Elliptical"] * 2)]
rows += [classification(f"u{n}", 1002, task(one)) for n, one in enumerate(["Spiral", "Spiral", "Spiral", "Ring"])]
write_classifications(Path("c.csv"), rows)
