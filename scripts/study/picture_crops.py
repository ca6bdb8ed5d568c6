"""How many copies with another field of view the firewall recognises by their picture, and how many false alarms.

Every galaxy is cut out of the middle of a wide picture, once with half its width, the original, and once with another
width, the copy. Copies are as cut, re-encoded as JPEG of quality 75, or mirrored, turned and re-encoded with 90. All
become stamps of 64 px. Printed are the copies found, as a percentage, without and with `other_widths`, and the pairs of
different galaxies that were taken for copies.

    python scripts/study/picture_crops.py [--galaxies 60] [--folder NAME=FOLDER ...]

Simulated galaxies of SDSS and DES are drawn; folders hold real images (JPEG or PNG), which should have 200 px or more.
"""

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from catbuilder.sets.same_picture import same_picture
from catbuilder.simulation.galaxies import SurveyPlan, draw_galaxies
from catbuilder.simulation.telescopes import DES, SDSS, Scene, Telescope, stamp_pixels

WIDTHS = (0.5, 0.6, 0.75, 0.9, 1.1, 1.27, 1.5, 2.0)
SIDE = 64


def simulated(telescope: Telescope, galaxies: int) -> list[Image.Image]:
    plan = SurveyPlan(training=0, hp=galaxies, fo=0, calibration=0, pool=0, faults=0)
    pixels = stamp_pixels(telescope, 160)
    return [Image.fromarray(Scene(one).colour_stamp(telescope, pixels, 3)) for one in draw_galaxies(plan, 3)]


def real(folder: Path, galaxies: int) -> list[Image.Image]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))[:galaxies]
    return [Image.open(path).convert("RGB") for path in paths]


def crop(image: Image.Image, share: float) -> Image.Image:
    side = round(share * image.width)
    left = (image.width - side) // 2
    return image.crop((left, left, left + side, left + side))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as cut": lambda image: image,
    "JPEG 75": lambda image: jpeg(image, 75),
    "flipped, JPEG 90": lambda image: jpeg(ImageOps.mirror(image).rotate(90), 90),
}


def stamps(images: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)) for image in images])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--galaxies", type=int, default=60)
    parser.add_argument("--folder", action="append", default=[], metavar="NAME=FOLDER", help="real images")
    options = parser.parse_args()
    sets = {"simulated SDSS": simulated(SDSS, options.galaxies), "simulated DES": simulated(DES, options.galaxies)}
    for named in options.folder:
        name, _, folder = named.partition("=")
        sets[name] = real(Path(folder), options.galaxies)
    print(f"{'':34}" + "".join(f"{width:>11g}" for width in WIDTHS))
    for name, images in sets.items():
        originals = stamps([crop(image, 0.5) for image in images])
        for change, copy in COPIES.items():
            cells, wrong = [], 0
            for width in WIDTHS:
                copies = stamps([copy(crop(image, 0.5 * width)) for image in images])
                found = [same_picture(originals, copies, other_widths=other) for other in (False, True)]
                before, after = (100 * sum(m.i == m.j for m in matches) / len(images) for matches in found)
                wrong += sum(m.i != m.j for m in found[1])
                cells.append(f"{before:.0f} -> {after:.0f}")
            print(f"{name:16}{change:18}" + "".join(f"{cell:>11}" for cell in cells) + f"   false: {wrong}", flush=True)


if __name__ == "__main__":
    main()
