"""The fields of a VOTable have names and IDs; some readers name the columns by ID, and here the IDs mislead."""

from pathlib import Path

from support.table_formats import field, votable

fields = field("COADD_OBJECT_ID", "long", 'ID="col_0"') + field("RA", "double", 'ID="DEC"')
fields += field("DEC", "double", 'ID="RA"') + field("MAG_AUTO_G", "double", 'ID="MAG_AUTO_R"')
Path("ids.vot").write_text(votable(fields, [(1, 50.5, -1.5, 18.5)]))
