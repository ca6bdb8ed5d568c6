"""The header begins with #, as numpy.savetxt and astropy's commented header write it, among other comments."""

from pathlib import Path

ROWS = "{},10.5,1.0\n{},11.5,1.0\n"
COMMENTS = "#Table1, of three\n#coadd_object_id,ra,dec\n# degrees\n\n"
Path("numpy.csv").write_text("# COADD_OBJECT_ID,RA,DEC\n" + ROWS.format(1, 2))
Path("comments.csv").write_text(COMMENTS + ROWS.format(3, 4) + "5,x,1\n")
Path("theirs.csv").write_text("# galaxies, and their types\n# ID,TYPE\n1000,S\n1001,E\n")
Path("plain.csv").write_text("# a comment, about RA,DEC\nCOADD_OBJECT_ID,RA,DEC\n" + ROWS.format(6, 7))
Path("none.csv").write_text("# A,B,C\n" + ROWS.format(8, 9))
