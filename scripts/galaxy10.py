"""Unpack Galaxy10 DECaLS, one HDF5 file, into a folder of images with the tables that catbuilder reads.

The file (astroNN's Galaxy10_DECals.h5) holds `images` (n, 256, 256, 3), `ans` (the class, 0 to 9), `ra` and `dec`.
A hash of the position says what a galaxy is for, so that one that is in the file twice is in one set: 50 % train, 20 %
are the test set HP, 15 % calibrate, and 15 % are a pool whose labels go to `truth.csv` and are not brought in.

    python scripts/galaxy10.py Galaxy10_DECals.h5 galaxy10
    catbuilder init ten --classes $(cat galaxy10/classes.txt) --stamp-size 96
"""

import argparse
import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

CLASSES = (
    "disturbed", "merging", "round_smooth", "in_between_smooth", "cigar_smooth", "barred_spiral", "tight_spiral",
    "loose_spiral", "edge_on_no_bulge", "edge_on_bulge",
)  # fmt: skip
SETS = (("train", 0.5), ("hp", 0.7), ("calibration", 0.85), ("pool", 1.0))  # up to this share of the hashes


def purpose(ra: float, dec: float) -> str:
    """What a galaxy is for: a hash of its position, rounded to an arc second."""
    digest = hashlib.sha256(f"{ra:.4f} {dec:.4f}".encode()).digest()
    share = int.from_bytes(digest[:8]) / 2**64
    return next(name for name, up_to in SETS if share < up_to)


def unpack(source: Path, folder: Path) -> dict[str, int]:
    """Write `images/`, `objects.csv`, `hp_truth.csv`, `truth.csv` and `classes.txt`; how many galaxies each set has."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "classes.txt").write_text(",".join(CLASSES) + "\n")
    counts = dict.fromkeys((name for name, _ in SETS), 0)
    with (
        open(folder / "objects.csv", "w", newline="") as objects_file,
        open(folder / "hp_truth.csv", "w", newline="") as hp_file,
        open(folder / "truth.csv", "w", newline="") as truth_file,
    ):
        objects, hp, truth = (csv.writer(file) for file in (objects_file, hp_file, truth_file))
        objects.writerow(("object_id", "file", "ra", "dec", "label", "split"))
        hp.writerow(("object_id", "label"))
        truth.writerow(("object_id", "label"))
        for number, pixels, label, ra, dec in _galaxies(source):
            name, what_for = f"{number}.png", purpose(ra, dec)
            Image.fromarray(pixels).save(folder / "images" / name)
            counts[what_for] += 1
            split = "none" if what_for == "hp" else what_for
            known = label if what_for in ("train", "calibration") else ""
            objects.writerow((number, name, f"{ra:.6f}", f"{dec:.6f}", known, split))
            if what_for in ("hp", "pool"):
                (hp if what_for == "hp" else truth).writerow((number, label))
    return counts


def _galaxies(source: Path) -> Iterator[tuple[int, np.ndarray, str, float, float]]:
    """Number (from 1), pixels, class and position (ICRS, degrees) of each galaxy, read a hundred at a time."""
    with h5py.File(source) as file:
        n = len(file["ans"])
        for start in range(0, n, 100):
            here = slice(start, min(start + 100, n))
            columns = (file[name][here] for name in ("images", "ans", "ra", "dec"))
            for place, (pixels, answer, ra, dec) in enumerate(zip(*columns, strict=True), start=start + 1):
                yield place, pixels, CLASSES[int(answer)], float(ra), float(dec)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="Galaxy10_DECals.h5")
    parser.add_argument("folder", type=Path, help="folder to write to")
    arguments = parser.parse_args()
    if not (arguments.source.is_file() and h5py.is_hdf5(arguments.source)):
        parser.error(f"{arguments.source} is no HDF5 file; it is to be had at https://astronn.readthedocs.io")
    counts = unpack(arguments.source, arguments.folder)
    print(f"{', '.join(f'{n} {name}' for name, n in counts.items())}: written to {arguments.folder}")


if __name__ == "__main__":
    main()
