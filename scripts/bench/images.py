"""How fast image files become stamps, against Pillow alone.

Ours is `read_picture` on all cores, as `ingest images` calls it: the file's bytes and their SHA-256, what is refused
before a pixel is decoded, the decoded picture, the square of its middle, and the quality flags of its pixels. The
peer is Pillow's own open, convert and resize of the same files with the same threads: no hash, no flag. The files
are JPEGs as cut-out services send them; both sides take turns.

    python scripts/bench/images.py [--files 2000]

Exits with 1 where ours has less than half of the peer's speed, or a quarter for files of 64 px.
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from catbuilder.core.machine import usable_cores
from catbuilder.ingest.picture import read_picture

TURNS = 7
# px of the file (DES and Galaxy Zoo cut-outs, small SDSS ones) and of the stamp; floor, of the peer's speed: a quality
# flag costs the same for a small file, which is decoded in next to nothing
CASES = ((299, 96, 0.5), (424, 64, 0.5), (64, 64, 0.25))


def write_files(folder: Path, side: int, n: int) -> list[Path]:
    """Noisy blobs, a JPEG each."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:side, :side] / side - 0.5
    files = []
    for number in range(n):
        light = 170 * np.exp(-(x**2 + (y * rng.uniform(1, 3)) ** 2) / rng.uniform(0.01, 0.05))
        pixels = light[..., None] * [1.0, 0.8, 0.6] + rng.normal(20, 4, (side, side, 3))
        files.append(folder / f"{side}-{number:05d}.jpg")
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(files[-1], quality=90)
    return files


def ours(file: Path, size: int) -> np.ndarray:
    pixels = read_picture(file, size).pixels
    assert pixels is not None
    return pixels


def peer(file: Path, size: int) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.LANCZOS))


def seconds(read: Callable[[Path, int], np.ndarray], files: list[Path], size: int) -> float:
    started = time.perf_counter()
    with ThreadPoolExecutor(usable_cores()) as pool:
        for _ in pool.map(lambda file: read(file, size), files):
            pass
    return time.perf_counter() - started


def case(folder: Path, side: int, size: int, floor: float, n: int) -> bool:
    files = write_files(folder, side, n)
    if not np.array_equal(ours(files[0], size), peer(files[0], size)):
        raise SystemExit("both sides should make the same stamp, and do not")
    pairs = [(seconds(ours, files, size), seconds(peer, files, size)) for _ in range(TURNS + 1)][1:]
    ratio = median(theirs / mine for mine, theirs in pairs)
    mine, theirs = (n / median(column) for column in zip(*pairs, strict=True))
    print(f"{side:>4} px JPEG to {size:>3} px: {mine:>7,.0f} stamps/s, Pillow alone {theirs:>7,.0f}; "
          f"{ratio:.2f} of its speed; floor {floor}: {'met' if ratio >= floor else 'MISSED'}", flush=True)  # fmt: skip
    return ratio >= floor


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=500, help="of each size")
    asked = parser.parse_args()
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    print(f"{cpu[1] if cpu else 'CPU unknown'}, {usable_cores()} cores")
    with tempfile.TemporaryDirectory() as folder:
        return 0 if all([case(Path(folder), *each, asked.files) for each in CASES]) else 1


if __name__ == "__main__":
    sys.exit(main())
