"""An older Label Studio wrote texts with commas and line breaks into CSV without quotes, and cells moved along."""

from pathlib import Path

HEAD = "annotation_id,annotator,created_at,id,label,lead_time,note,object_id,survey\n"
Path("commas.csv").write_text(
    HEAD + "70,7,2026,1,spiral,3.2,near a star, bright,1000,des\n71,7,2026,2,spiral,3.2,fine,1001,des\n"
)
Path("lines.csv").write_text(
    HEAD + "72,7,2026,1,spiral,3.2,near\n a star,1002,des\n73,7,2026,2,elliptical,3.2,fine,1003,des\n"
)
