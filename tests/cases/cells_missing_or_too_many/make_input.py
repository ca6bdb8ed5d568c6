"""Rows with a cell too few or too many, such as an unquoted comma makes, in lists that are written once and others."""

from pathlib import Path

Path("labels.csv").write_text("object_id,label,annotator\n1000,spiral\n1001,spiral,a,b\n1002,spiral,ann\n,,\n\n")
Path("other.csv").write_text("object_id,label\n1000,spiral\n1001\n1002,spiral,x\nx,spiral\n")
Path("pairs.csv").write_text("sdss_objid,des_coadd_object_id\n1,2\n3,4,5\n")
