"""Labels and true classes stand in tables with a byte order mark, blanks and capitals in the header row."""

from pathlib import Path

Path("labels.csv").write_text(
    "OBJECT_ID, Label ,Annotator,Remark\n1000,spiral,ann,\n1001,elliptical,bob,x\n", "utf-8-sig"
)
Path("truth.csv").write_text("Object_Id,LABEL,Votes,ra\n1002,spiral,0.9,10\n1003,elliptical,0.8,11\n", "utf-8-sig")
Path("ask.csv").write_text("Survey,OBJECT_ID\ndes,1004\n", "utf-8-sig")
