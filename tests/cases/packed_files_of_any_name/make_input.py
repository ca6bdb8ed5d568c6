"""Files are packed by gzip, bzip2 or xz, and their names do not say so, or say so of a file that is not packed."""

import bz2
import gzip
import lzma
from pathlib import Path

from support.table_formats import two_objects

for first, name, kind, pack in (
    (1, "a.csv", "csv", gzip.compress), (11, "b.csv.gz", "csv", bytes), (21, "c.CSV.XZ", "csv", lzma.compress),
    (31, "d.csv.gz", "csv", bz2.compress), (41, "a.fits", "fits", gzip.compress), (51, "b.FITS.gz", "fits", bytes),
    (61, "c.fits.bz2", "fits", bz2.compress), (71, "a.vot", "votable", gzip.compress),
    (81, "b.vot.gz", "votable", bytes), (91, "c.VOTable.xz", "votable", lzma.compress),
):  # fmt: skip
    Path(name).write_bytes(pack(two_objects(first, kind)))
members = gzip.compress(two_objects(101, "csv")) + gzip.compress(b"103,113.0,3.0\n")  # as bgzip and cat write
Path("members.csv.gz").write_bytes(members)
