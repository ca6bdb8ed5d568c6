"""An empty cell of integers in a VOTable of version 1.1, which did not allow it: it was read as 0, not as missing."""

from pathlib import Path

from support.table_formats import POSITION, field, votable

FIELDS = field("COADD_OBJECT_ID", "long") + POSITION + field("FLAGS_G", "int")
FIELDS += field("FLAGS_R", "int", inside='<VALUES null="-99"/>')
ROWS = [(1, 10, 1, "", -99), (2, 11, 1, 0, ""), (3, 12, 1, "NaN", 4)]
Path("old.vot").write_text(votable(FIELDS, ROWS, version="1.1"))
