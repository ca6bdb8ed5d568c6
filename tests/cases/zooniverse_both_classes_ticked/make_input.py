"""A question with several choices: one volunteer ticks both classes, two tick one."""

from pathlib import Path

from support.platform_exports import classification, task, write_classifications

said = [["Spiral", "Elliptical"], ["Spiral"], ["Spiral"], []]
write_classifications(Path("c.csv"), [classification(f"u{n}", 1000, task(one)) for n, one in enumerate(said)])
