"""A FITS file named .csv, a VOTable named .csv and a FITS file named .xml: the names are wrong, and are told so."""

from pathlib import Path

from support.table_formats import two_objects

Path("fits.csv").write_bytes(two_objects(1, "fits"))
Path("votable.csv").write_bytes(two_objects(1, "votable"))
Path("fits.xml").write_bytes(two_objects(1, "fits"))
