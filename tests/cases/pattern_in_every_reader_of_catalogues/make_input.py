"""FITS, VOTable and CSV with `*`, `?` and `[ ]` in their names, each beside a file that the name matches."""

from astropy.table import Table

ENDINGS = ("csv", "fits", "vot")
for number, ending in enumerate(ENDINGS, start=1):
    for name, offset in ((f"cat [{number}]*?.{ending}", 0), (f"cat {number} 2x.{ending}", 900)):
        table = Table({"COADD_OBJECT_ID": [number + offset], "RA": [10.0 * number + offset / 10], "DEC": [1.0]})
        table.write(name, format="votable" if ending == "vot" else None)
