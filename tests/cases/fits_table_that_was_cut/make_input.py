"""A FITS table is cut: within its rows, between two rows, or it never had one; readers warn, and give fewer or none."""

from pathlib import Path

from astropy.io import fits
from astropy.table import Table

table = Table({"COADD_OBJECT_ID": range(1, 1001), "RA": [n / 10 for n in range(1000)], "DEC": [1.0] * 1000})
table.write("whole.fits")
data = Path("whole.fits").read_bytes()
start = fits.open("whole.fits")[1].fileinfo()["datLoc"]
Path("cut.fits").write_bytes(data[: start + 24 * 500 + 7])
Path("rows.fits").write_bytes(data[: start + 24 * 500])
table[:0].write("none.fits")
