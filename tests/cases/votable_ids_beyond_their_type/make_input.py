"""VizieR declared ids as `short` that do not fit 16 bits: clipped to 32767, they are all one object."""

from pathlib import Path

from support.table_formats import POSITION, field, votable

FIELDS = field("COADD_OBJECT_ID", "short") + POSITION
Path("ids.vot").write_text(votable(FIELDS, [(3403340, 10.0, 1.0), (77, 11.0, 1.0), (3403342, 12.0, 1.0)]))
