"""The ids of another catalogue are declared `unsignedByte`: clipped to 255, none would be found."""

from pathlib import Path

from support.table_formats import field, text_field, votable

FIELDS = field("ID", "unsignedByte") + text_field("TYPE")
Path("theirs.vot").write_text(votable(FIELDS, [(1000 + i, "S") for i in range(30)]))
