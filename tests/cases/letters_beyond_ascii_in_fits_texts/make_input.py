"""Texts of a FITS column, which must be ASCII, as UTF-8 and as Latin-1: they were read with question marks."""

import io
from pathlib import Path

from astropy.io import fits
from astropy.table import Table

out = io.BytesIO()
rows = Table({"COADD_OBJECT_ID": [1, 2], "RA": [10.0, 11.0], "DEC": [1.0, 2.0], "TILENAME": ["XXXX", "abcd"]})
fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(rows)]).writeto(out)
Path("utf8.fits").write_bytes(out.getvalue().replace(b"XXXX", "č9é"[:2].encode() + b"x"))
Path("latin1.fits").write_bytes(out.getvalue().replace(b"XXXX", b"J\xfcrg").replace(b"abcd", b"dcba"))
