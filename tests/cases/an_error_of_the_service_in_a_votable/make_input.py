"""A service tells its error in a VOTable, with or without the beginning of a table; cone searches tell it otherwise."""

from pathlib import Path

from support.table_formats import POSITION, field, votable

FIELDS = field("COADD_OBJECT_ID", "long") + POSITION
ERROR = '<INFO name="QUERY_STATUS" value="ERROR">line 1: no column <![CDATA[RA<360]]></INFO>'
Path("tap.vot").write_text(f'<VOTABLE><RESOURCE type="results">{ERROR}</RESOURCE></VOTABLE>')
Path("broken.vot").write_text(votable(FIELDS, [(1, 10, 1)]).replace("</TABLE>", "</TABLE>" + ERROR))
Path("cone.xml").write_text('<VOTABLE><INFO name="Error" value="SR is larger than 10 degrees"/></VOTABLE>')
