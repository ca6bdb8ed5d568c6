"""A tape or a download manager filled a gzipped file up with zero bytes, which gunzip ignores."""

import gzip
from pathlib import Path

from support.table_formats import two_objects

for first, name, kind in ((1, "a.csv.gz", "csv"), (11, "a.fits.gz", "fits"), (21, "a.vot.gz", "votable")):
    Path(name).write_bytes(gzip.compress(two_objects(first, kind)) + bytes(512))
