"""Rows further down have another separator, or one in a text; a sniffer chose it and dropped the rows above."""

from pathlib import Path

Path("later.csv").write_text("COADD_OBJECT_ID,RA,DEC,TILENAME\n1,10.5,1,a\n2;11.5;1;b;c\n3,12.5,1,a;b;c\n")
Path("two.csv").write_text("c0\nv0\na;b\n")
Path("labels.csv").write_text("object_id,label,annotator\n1000,spiral,a\n1001;spiral;b\n1002,spiral,a;b;c\n")
