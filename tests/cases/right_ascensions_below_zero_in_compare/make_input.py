"""Another catalogue with right ascensions from -180 to 180, for objects on both sides of 0."""

from pathlib import Path

Path("ours.csv").write_text("COADD_OBJECT_ID,RA,DEC\n1,359.9,1.0\n2,0.1,1.0\n")
Path("labels.csv").write_text("object_id,label\n1,spiral\n2,elliptical\n")
Path("theirs.csv").write_text("ra,dec,type\n-0.1,1.0,spiral\n0.1,1.0,elliptical\n")
