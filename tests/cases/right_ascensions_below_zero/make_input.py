"""Right ascensions from -180 to 180, as some programs write them, in every table with positions."""

from pathlib import Path

import numpy as np
from astropy.table import Table
from PIL import Image

rows = "1,-0.1,1.0\n2,-180,2.0\n3,359.5,3.0\n4,-180.1,4.0\n5,360.1,5.0\n"
Path("des.csv").write_text("COADD_OBJECT_ID,RA,DEC\n" + rows)
table = Table({"COADD_OBJECT_ID": [11, 12], "RA": [-0.1, -179.0], "DEC": [1.5, 2.5]})
table.write("des.fits")
table["COADD_OBJECT_ID"] += 10
table.write("des.vot", format="votable")
table["COADD_OBJECT_ID"] += 10
table.write("des.parquet")
table["COADD_OBJECT_ID"] += 10
table.write("des.ecsv")

Path("images").mkdir()
pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
Image.fromarray(pixels).save("images/a.png")
Path("images.csv").write_text("object_id,file,ra,dec\n9,a.png,-0.25,1\n")
