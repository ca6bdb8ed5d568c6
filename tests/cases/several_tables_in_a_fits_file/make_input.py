"""The catalogue is in the second extension, behind a table of the observing log, and another file has it twice."""

from pathlib import Path

from astropy.io import fits
from astropy.table import Table

log = fits.BinTableHDU(Table({"NIGHT": [1, 2, 3]}), name="LOG")
first = fits.BinTableHDU(Table({"COADD_OBJECT_ID": [1], "RA": [10.0], "DEC": [1.0]}), name="OBJECTS")
second = fits.BinTableHDU(Table({"COADD_OBJECT_ID": [2], "RA": [11.0], "DEC": [1.0]}), name="TRUTH")
theirs = fits.BinTableHDU(Table({"ID": [1000, 1001], "TYPE": ["S", "E"]}))
fits.HDUList([fits.PrimaryHDU(), log, fits.ImageHDU(), first]).writeto("later.fits")
fits.HDUList([fits.PrimaryHDU(), log, fits.ImageHDU(), first]).writeto("later.fits.gz")
fits.HDUList([fits.PrimaryHDU(), first, log, second]).writeto("twice.fits")
fits.HDUList([fits.PrimaryHDU(), log, theirs]).writeto("theirs.fits")
Path("table.csv").write_text("COADD_OBJECT_ID,RA,DEC\n3,10,1\n")
