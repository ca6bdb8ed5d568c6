"""After the first import more volunteers answered, and there is no majority any more; an expert's labels stay.

Of one object a single volunteer had answered. A file with fewer answers than the first had undoes nothing.
"""

from pathlib import Path

from support.platform_exports import classification, task, write_classifications

first = [classification(user, one, task("Spiral")) for one in (1000, 1001) for user in ("ann", "bob")]
first += [classification("ann", 1003, task("Spiral"))]
first += [classification(user, 1002, task("Spiral")) for user in ("ann", "bob")]
write_classifications(Path("may.csv"), first)
more = [classification(f"u{n}", one, task("Star")) for one in (1000, 1001, 1003) for n in range(6)]
more += [classification(f"u{n}", 1002, task("Star")) for n in range(6)]
write_classifications(Path("june.csv"), [*first, *more])
few = [classification("u0", 1000, task("Star")), classification("u0", 1004, task("Spiral"))]
write_classifications(Path("few.csv"), few)
Path("expert.csv").write_text("object_id,label,annotator\n1001,spiral,zoe\n1002,elliptical,zoe\n")
