"""A char column of a binary VOTable holds letters beyond ASCII, in UTF-8 and in Latin-1."""

import base64
import re
from pathlib import Path

import numpy as np
from astropy.table import Table

table = Table({"COADD_OBJECT_ID": [1], "RA": [1.0], "DEC": [2.0], "TILENAME": np.array([b"ab"])})
for form in ("binary", "binary2"):
    table.write("plain.vot", format="votable", tabledata_format=form, overwrite=True)
    text = Path("plain.vot").read_text()
    stream = re.search(r'<STREAM encoding="base64">(.*?)</STREAM>', text, re.DOTALL)[1]
    for encoding, letters in {"utf8": "\u00e9".encode(), "latin1": "\u00e9b".encode("latin-1")}.items():
        cells = base64.b64encode(base64.b64decode(stream).replace(b"ab", letters)).decode()
        Path(f"{form}_{encoding}.vot").write_text(text.replace(stream, cells))
