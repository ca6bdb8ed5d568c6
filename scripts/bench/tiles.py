"""How fast, in how much memory and how well centred `catbuilder ingest tiles` cuts, against Cutout2D in a loop.

One simulated DES tile of 10,000 x 10,000 pixels with 2,000 known galaxies, as three FITS files of a band each and as
three `.fits.fz` (Rice), with the mask and weight that DES delivers. `ingest` is the real command in a process of its
own, from its start to its end: imports, catalogue, workers, shards, recording. The peer is astropy's
`nddata.Cutout2D` on memory-mapped planes, `make_lupton_rgb`, and Pillow's Lanczos, one galaxy after another in one
process, imports not counted: no mask, no weight, no background, no sub-pixel centring, nothing recorded.

Memory is the sum over the command and its workers, sampled every 50 ms, of what each holds (RSS: shared pages count in
each, so it is an upper bound). Offsets are those of the recorded stamps, all of them: each one's windowed centroid
against that of the same galaxy drawn without noise in the very middle, since arms pull a spiral's own off its centre.

    python scripts/bench/tiles.py [--side 10000] [--galaxies 2000] [--keep FOLDER]

The rate that counts is that of two cores by the CPU time of all processes, which other work on the machine changes
least; the rate by the clock is printed too.

Exits with 1 below 900 stamps a second (uncompressed), above 1 GiB, or if a galaxy is 0.1 px off its middle.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.visualization import make_lupton_rgb
from PIL import Image

from catbuilder.catalogue.new_workspace import create_workspace
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.files import write_text
from catbuilder.ingest.tiles.cutouts import section_side
from catbuilder.ingest.tiles.rendering import PEDESTAL, lupton_colours, resample
from catbuilder.simulation.telescopes import DES

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from support.coadd_tile import TileGalaxy, draw_planes, light_of, place_galaxies, tile_wcs, write_tile

FLOOR = 900.0
MEMORY_MIB = 1024
CENTRED_PX = 0.1
RADII = 2.25
WINDOW_PX = 3.0
# As catbuilder is installed: pandas comes with the tools for development alone, and pyarrow imports it where it is.
COMMAND = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name == "pandas" else find(name, *rest)
from catbuilder.cli.main import main
main()
"""


def make(folder: Path, side: int, galaxies: list[TileGalaxy]) -> None:
    planes = draw_planes(side, galaxies, seed=1)
    for name in ("plain", "fz"):
        write_tile(folder / name, "SIM0001-0001", planes, tile_wcs(side), compressed=name == "fz")
    rows = [f"{g.object_id},{g.ra:.9f},{g.dec:.9f},{radius(g):.4f}" for g in galaxies]
    write_text(folder / "objects.csv", "\n".join(["object_id,ra,dec,radius_arcsec", *rows]) + "\n")


def radius(one: TileGalaxy) -> float:
    """Kron radii of such galaxies in DES are about this many half-light radii."""
    return 2.5 * one.galaxy.radius_arcsec


def ingest(folder: Path, name: str) -> tuple[float, float, float, str]:
    """Seconds by the clock and of CPU, the most memory held (MiB), and what the command said."""
    create_workspace(folder / f"ws-{name}", stamp_size=64)
    command = [sys.executable, "-c", COMMAND]
    words = ["ingest", "tiles", folder / name, "--survey", "des", "--objects", folder / "objects.csv"]
    before, clock = os.times(), time.perf_counter()
    process = subprocess.Popen(
        [*command, "-w", *map(str, [folder / f"ws-{name}", *words])], stdout=subprocess.PIPE, text=True
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, held(process.pid))
        time.sleep(0.05)
    after, said = os.times(), process.stdout.read() if process.stdout else ""
    if process.returncode:
        sys.exit(f"the command ended with {process.returncode}")
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    return time.perf_counter() - clock, cpu, peak / 2**20, said.splitlines()[0]


def held(pid: int) -> float:
    """Bytes in memory of a process and its children."""
    total = 0.0
    try:
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_info().rss
    except psutil.Error:  # one ended meanwhile
        pass
    return total


def peer(folder: Path, galaxies: list[TileGalaxy], size: int = 64) -> tuple[float, float]:
    """Seconds by the clock and of CPU of the plain loop over the uncompressed files."""
    cpu, clock = time.process_time(), time.perf_counter()
    files = [fits.open(path, memmap=True) for path in sorted((folder / "plain").glob("*_[gri].fits"))]
    planes = {path: file["SCI"].data for path, file in zip("gir", files, strict=True)}
    for one in galaxies:
        width = round(RADII * radius(one) / 0.263)
        cuts = [Cutout2D(planes[band], (one.x, one.y), width, mode="partial", fill_value=0).data for band in "irg"]
        colours = make_lupton_rgb(*cuts, stretch=4.0 * 0.263**2 * 1000, Q=8)
        Image.fromarray(colours).resize((size, size), Image.Resampling.LANCZOS)
    return time.perf_counter() - clock, time.process_time() - cpu


def offsets(folder: Path, galaxies: list[TileGalaxy]) -> np.ndarray:
    """How far each recorded stamp's galaxy lies from the same galaxy drawn in the very middle, px of the tile."""
    with Workspace.open(folder / "ws-plain").reading() as con:
        rows = con.execute("SELECT object_id, shard, row, width_px FROM stamps ORDER BY object_id").fetchall()
    shards = {shard: np.load(folder / "ws-plain" / shard, mmap_mode="r") for _, shard, _, _ in rows}
    away = np.empty(len(rows))
    for k, (object_id, shard, row, width) in enumerate(rows):
        stamp = shards[shard][row]
        light = light_of(galaxies[object_id - 1].galaxy, DES, section_side(width) // 2 * 2 + 1, (0.0, 0.0))
        sky = light.transpose(2, 0, 1)[::-1] / DES.arcsec_per_pixel**2
        middle = (light.shape[0] - 1) / 2
        light = np.empty((3, len(stamp), len(stamp)), np.float32)
        resample(sky.astype(np.float32), middle, middle, width, light)
        drawn = lupton_colours(light, "gri")[::-1]
        away[k] = np.hypot(*(centroid(stamp) - centroid(drawn))) * width / len(stamp)
    return away


def centroid(stamp: np.ndarray) -> np.ndarray:
    """Of the light under a round window that follows it, as SExtractor's XWIN and YWIN; px from the middle."""
    light = stamp.astype(np.float64).mean(axis=-1) - PEDESTAL
    axis = np.arange(len(stamp)) - (len(stamp) - 1) / 2
    x, y = np.meshgrid(axis, axis)
    at = np.zeros(2)
    for _ in range(20):
        window = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * WINDOW_PX**2)) * light
        at += 2 * np.array([(window * (x - at[0])).sum(), (window * (y - at[1])).sum()]) / window.sum()
    return at


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=10000)
    parser.add_argument("--galaxies", type=int, default=2000)
    parser.add_argument("--keep", type=Path, help="Folder to make the tile in and to leave it; made once.")
    arguments = parser.parse_args()
    galaxies = place_galaxies(arguments.side, arguments.galaxies, seed=1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        if not (folder / "objects.csv").exists():
            make(folder, arguments.side, galaxies)
        for old in folder.glob("ws-*"):
            shutil.rmtree(old)
        return measure(folder, galaxies)


def measure(folder: Path, galaxies: list[TileGalaxy]) -> int:
    n = len(galaxies)
    plain, fz = ingest(folder, "plain"), ingest(folder, "fz")
    others = peer(folder, galaxies)
    away = offsets(folder, galaxies)
    print(f"{'':34}{'clock':>9}{'stamps/s':>10}{'CPU':>9}{'stamps/CPU s':>14}{'memory':>10}")
    for what, (clock, cpu, memory, _) in (("ingest, uncompressed", plain), ("ingest, .fits.fz (Rice)", fz)):
        print(f"{what:34}{clock:>7.1f} s{n / clock:>10.0f}{cpu:>7.1f} s{n / cpu:>14.0f}{memory:>6.0f} MiB")
    clock, cpu = others
    print(f"{'Cutout2D + make_lupton_rgb, loop':34}{clock:>7.1f} s{n / clock:>10.0f}{cpu:>7.1f} s{n / cpu:>14.0f}")
    print(f"{plain[3]}\nratio to the peer by the clock {clock / plain[0]:.2f}, by CPU {cpu / plain[1]:.2f}")
    print(
        f"offset from the middle, px of the tile: median {np.median(away):.3f}, largest {away.max():.3f} ({len(away)})"
    )
    rate = 2 * n / plain[1]
    met = rate >= FLOOR and max(plain[2], fz[2]) < MEMORY_MIB and len(away) == n and away.max() < CENTRED_PX
    print(f"{rate:.0f} stamps/s on two cores; floors {FLOOR:.0f}/s, {MEMORY_MIB} MiB, {CENTRED_PX} px:", end=" ")
    print("met" if met else "MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
