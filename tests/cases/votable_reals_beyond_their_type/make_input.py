"""A magnitude of 1e300 is declared `float`, where it is infinite; an infinity that is written is one."""

from pathlib import Path

from support.table_formats import POSITION, field, votable

FIELDS = field("COADD_OBJECT_ID", "long") + POSITION + field("MAG_AUTO_G", "float")
ROWS = [(1, 10, 1, "1e300"), (2, 11, 1, "+Inf"), (3, 12, 1, "18.5"), (4, 13, 1, "-")]
Path("reals.vot").write_text(votable(FIELDS, ROWS))
