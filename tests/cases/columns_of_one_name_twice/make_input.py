"""A cross-match gives ra and dec of both tables one name; a reader takes the first, the last, or sums texts."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Table
from support.table_formats import POSITION, field, votable

Path("two.csv").write_text("COADD_OBJECT_ID,RA,DEC,angDist,RA,DEC\n1,10.5,1.5,0.1,20.5,2.5\n")
Path("labels.csv").write_text("object_id,label,label\n1000,spiral,elliptical\n")
Table({"COADD_OBJECT_ID": [1], "RA": [10.5], "DEC": [1.5], "RX": [20.5]}).write("two.fits")
Path("two.fits").write_bytes(Path("two.fits").read_bytes().replace(b"'RX      '", b"'RA      '"))
fields = field("COADD_OBJECT_ID", "long") + POSITION + field("RA", "double")
Path("two.vot").write_text(votable(fields, [(1, 10.5, 1.5, 20.5)]))
names = ["COADD_OBJECT_ID", "RA", "DEC", "RA"]
pq.write_table(pa.Table.from_arrays([pa.array([value]) for value in (1, 10.5, 1.5, 20.5)], names), "two.parquet")
text = {"COADD_OBJECT_ID": [7, 8], "RA": ["10.5", "x"], "DEC": ["+01.5", "1"]}
Table(text).write("text.fits")
