"""Two controls of a labelling interface ask two questions, and both have the classes as answers; the export is CSV."""

from pathlib import Path

Path("export.csv").write_text(
    '"annotation_id","annotator","center","created_at","id","lead_time","object_id","outskirts","survey"\n'
    '70,7,"elliptical","2026-11-20T10:00:00Z",1,3.2,"1000","spiral","des"\n'
)
