"""A VOTable has a table of the query, one of stars and one of galaxies: the one that has the columns is meant."""

from pathlib import Path

from support.table_formats import POSITION, field, text_field, votable

FIELDS = field("COADD_OBJECT_ID", "long") + POSITION
OTHER = text_field("QUERY")


def tables(*parts: str) -> str:
    return "<VOTABLE>" + "".join(part[part.index("<RESOURCE") : -10] for part in parts) + "</VOTABLE>"


query, galaxies = votable(OTHER, [("SELECT",)]), votable(FIELDS, [(1, 10, 1)])
described = '<RESOURCE type="meta"><TABLE name="galaxies">' + FIELDS + "</TABLE></RESOURCE></VOTABLE>"
stars = votable(FIELDS, [(2, 11, 1)], name="Stars")
Path("one.vot").write_text(tables(query, galaxies, described))
Path("two.vot").write_text(tables(galaxies, query, stars))
Path("none.vot").write_text(tables(query, query))
