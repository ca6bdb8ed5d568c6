"""A TAP service gives at most so many rows, and says so in the file alone: before the table, or after it."""

from pathlib import Path

from support.table_formats import POSITION, field, text_field, votable

FIELDS = field("COADD_OBJECT_ID", "long") + POSITION
CUT = '<INFO name="QUERY_STATUS" value="OVERFLOW">truncated result (maxrec=2)</INFO>'
Path("before.vot").write_text(votable(FIELDS, [(1, 10, 1), (2, 11, 1)], before=CUT))
after = votable(FIELDS, [(3, 10, 1), (4, 11, 1)], before='<INFO name="QUERY_STATUS" value="OK"/>')
Path("after.vot").write_text(after.replace("</TABLE>", "</TABLE>" + CUT))
theirs = field("ID", "long") + text_field("TYPE")
Path("theirs.vot").write_text(votable(theirs, [(1000, "S"), (1001, "E")], before=CUT))
