"""A service writes the word NULL into cells; another declares -99.0 as missing and writes -99.000."""

from pathlib import Path

from support.table_formats import POSITION, field, text_field, votable

fields = field("COADD_OBJECT_ID", "long") + POSITION + field("FLAGS_G", "int") + text_field("TILENAME")
fields += field("MAG_AUTO_G", "double", inside='<VALUES null="-99.0"/>')
rows = [(1, 10, 1, "NULL", "DES 1", 18.5), (2, 11, 1, 3, "NULL", "-99.000"), (3, 12, 1, "", "DES 3", "NULL")]
Path("null.vot").write_text(votable(fields, rows))
