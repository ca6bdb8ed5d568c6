"""The fields of a manifest were renamed: other marks, capitals; one subject has no object_id at all."""

from pathlib import Path

from support.platform_exports import classification, task, write_classifications

names = ("!Object_ID", "//OBJECT_ID", "#object_id")
rows = [classification("ann", 1000 + n, task("Spiral"), fields={name: 1000 + n}) for n, name in enumerate(names)]
rows.append(classification("ann", 1003, task("Spiral"), fields={"Filename": "x.png", "#ra": 1.5}))
write_classifications(Path("c.csv"), rows)
