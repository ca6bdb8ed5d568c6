"""Observers and places with letters beyond ASCII in a header, as UTF-8 and as Latin-1, and in the name of a column."""

import io
from pathlib import Path

from astropy.io import fits
from astropy.table import Table

table = fits.BinTableHDU(
    Table({"COADD_OBJECT_ID": [1, 2], "RA": [10.0, 11.0], "DEC": [1.0, 2.0], "XXXXXX": ["S", "E"]}), name="SKYSKY"
)
table.header["HISTORY"], table.header["OBSERVER"] = "made on XXXXXXXX", "nobody"
out = io.BytesIO()
fits.HDUList([fits.PrimaryHDU(), table]).writeto(out)
plain = out.getvalue()
Path("history.fits").write_bytes(plain.replace(b"made on XXXXXXXX", "made on \u010dt 16 d".encode()))
Path("observer.fits").write_bytes(plain.replace(b"'nobody  '", b"'J\xfcrg    '"))
theirs = plain.replace(b"XXXXXX  ", "tÿpé  ".encode()).replace(b"COADD_OBJECT_ID", b"ID_OF_A_GALAXY ")
Path("column.fits").write_bytes(theirs.replace(b"SKYSKY", "Größe".encode()[:6]))
