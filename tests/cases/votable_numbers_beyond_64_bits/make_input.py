"""An unsigned id of 64 bits is declared `long`, and a flag `short` that is too large: both were clipped."""

from pathlib import Path

from support.table_formats import POSITION, field, votable

FIELDS = field("COADD_OBJECT_ID", "long") + POSITION + field("FLAGS_G", "short")
ROWS = [
    (9223372036854775808, 20.0, 1.0, 0), (5, 21.0, 1.0, 70000), (6, 22.0, 1.0, "0x7F"),
    (9223372036854775807, 23.0, 1.0, -32768),
]  # fmt: skip
Path("long.vot").write_text(votable(FIELDS, ROWS))
