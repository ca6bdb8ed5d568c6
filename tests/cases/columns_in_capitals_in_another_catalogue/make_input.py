"""Another catalogue is compared whose columns are named in other cases than on the command line."""

from pathlib import Path

Path("labels.csv").write_text("object_id,label\n1000,spiral\n1001,elliptical\n")
Path("other.csv").write_text("OBJID,Type,Remark\n1000,spiral,a\n1001,spiral,b\n")
