"""Positions as people and programs write them: letters, colons, blanks, signs for degrees, and a printed minus."""

from pathlib import Path

import numpy as np
from astropy.table import Table
from PIL import Image

PLACES = [
    ("02h00m24.0s", "-00d12m36s"), ("2:00:24", "-0:12:36"), ("02 00 24.0", "-00 12 36.0"), ("30.1", "-0.21"),
    ("30.1d", "\u22120.21"), ("30\u00b06\u20320\u2033", "\u221200\u00b012\u203236\u2033"),
    ("2.00666666666667h", "-0.21 deg"),
    ("02\u02b000\u1d5024\u02e2", "-0d12.6m"),
]  # fmt: skip
with open("des.csv", "w", encoding="utf-8") as file:
    file.write("COADD_OBJECT_ID,RA,DEC\n" + "".join(f"{k},{ra},{dec}\n" for k, (ra, dec) in enumerate(PLACES, 1)))
table = Table({"COADD_OBJECT_ID": np.arange(8) + 11, "RA": [ra for ra, _ in PLACES], "DEC": [dec for _, dec in PLACES]})
table.write("des.ecsv")
table["COADD_OBJECT_ID"] += 10
table.write("des.parquet")
Path("bad.csv").write_text(
    "COADD_OBJECT_ID,RA,DEC\n31,02m00s,1\n32,25h00m00s,1\n33,1.0,02h00m00s\n34,10:61:00,1\n35,1.0,1\n"
)

Path("images").mkdir()
lines = ["object_id,file,ra,dec"]
for k, (ra, dec) in enumerate(PLACES, 1):
    Image.fromarray(np.random.default_rng(k).integers(0, 255, (64, 64, 3), np.uint8)).save(f"images/{k}.png")
    lines.append(f"{k},{k}.png,{ra},{dec}")
Path("images.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
