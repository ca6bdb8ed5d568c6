"""The task data of a Label Studio table has a text of 200,000 letters."""

from pathlib import Path

HEADER = "annotation_id,annotator,label,lead_time,object_id,survey,text"
Path("export.csv").write_text(f"{HEADER}\n1,7,spiral,3,1000,des,{'x' * 200_000}\n2,7,elliptical,3,1001,des,short\n")
