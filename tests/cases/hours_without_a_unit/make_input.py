"""Right ascensions in hours, and positions in radians, in columns that state no unit; and an ordinary small field."""

from pathlib import Path

import numpy as np
from PIL import Image

ra, dec = np.linspace(1, 359, 12), np.linspace(-60, 60, 12)


def write(file: str, first_id: int, ra: np.ndarray, dec: np.ndarray) -> None:
    rows = (f"{first_id + k},{a},{d}\n" for k, (a, d) in enumerate(zip(ra, dec, strict=True)))
    Path(file).write_text("COADD_OBJECT_ID,RA,DEC\n" + "".join(rows))


write("hours.csv", 100, ra / 15, dec)
write("radians.csv", 200, np.radians(ra), np.radians(dec))
write("field.csv", 300, np.linspace(10, 12, 12), np.linspace(-1, 1, 12))
write("sky.csv", 400, ra, dec)
Path("images").mkdir()
lines = ["object_id,file,ra,dec"]
for k in range(4):
    pixels = np.random.default_rng(k).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(f"images/{k}.png")
    lines.append(f"{k},{k}.png,{1 + 7 * k},{20 * k}")
Path("images.csv").write_text("\n".join(lines) + "\n")
