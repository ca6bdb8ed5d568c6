"""An annotator has ticked both classes; another one answers the same object."""

from pathlib import Path

from support.platform_exports import annotation, write_tasks

both = annotation(1, "spiral", "elliptical")
write_tasks(Path("both.json"), [(1003, [both]), (1004, [both, annotation(2, "spiral")])])
