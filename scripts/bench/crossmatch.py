"""How fast `catbuilder crossmatch` is, against astropy's `match_coordinates_sky` on the same rows.

The rows are drawn at the density of DES at 24th magnitude, about 20,000 a square degree, one survey scattered about
the other by 0.15 arcsec in each coordinate; where one is the smaller, it is a random part. Ours is measured whole:
from the catalogue file, through one-to-one pairs, to the pairs recorded. The peer gets its columns from the same file
and gives the nearest of each of the first survey's rows, which may be one and the same for several. Each runs in a
process of its own, so that the peaks of memory can be told apart.

    python scripts/bench/crossmatch.py [--a 1000000] [--b 1000000] [--radius 1.0] [--no-peer]

Exits with 1 where ours is slower than the peer.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy.coordinates import SkyCoord, match_coordinates_sky

from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.catalogue.new_workspace import create_workspace
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.sky import healpix_cell
from catbuilder.sets.crossmatch import crossmatch

DENSITY = 20_000  # a square degree
SCATTER_DEG = 0.15 / 3600
PORTION = 2_000_000  # rows drawn and written at a time


def make_survey(workspace: Workspace, survey: str, rows: int, of: int, seed: int) -> None:
    """The first `rows` of `of` galaxies on a strip along the equator, each where this survey saw it."""
    half_height = np.sin(np.radians(min(of / DENSITY / 360 / 2, 60)))
    width = min(360.0, of / DENSITY / np.degrees(2 * half_height))
    with workspace.recording(f"make {survey}") as recording:
        for first in range(0, rows, PORTION):
            n = min(PORTION, rows - first)
            sky, error = np.random.default_rng([0, first]), np.random.default_rng([seed, first])
            ra = (sky.uniform(0, width, PORTION)[:n] + error.normal(0, SCATTER_DEG, n)) % 360
            dec = np.degrees(np.arcsin(sky.uniform(-half_height, half_height, PORTION)[:n]))
            dec += error.normal(0, SCATTER_DEG, n)
            columns = {"object_id": np.arange(first, first + n), "ra": ra, "dec": dec, "healpix": healpix_cell(ra, dec)}
            recording.con.register("portion", pa.table(columns))
            recording.con.execute(
                "INSERT INTO objects BY NAME SELECT *, ? AS survey, ? AS origin, 1 AS round, ? AS run FROM portion",
                [survey, survey, recording.run],
            )


def ours(path: str, radius_arcsec: float) -> int:
    return crossmatch(Workspace.open(path), radius_arcsec).matches[0].pairs


def peer(path: str, radius_arcsec: float) -> int:
    query = "SELECT ra, dec FROM objects WHERE survey = $survey ORDER BY object_id"
    with Workspace.open(path).reading() as con:
        a, b = (fetch_arrow(con, query, {"survey": survey}) for survey in ("sdss", "des"))
    sky_a, sky_b = (SkyCoord(side["ra"].to_numpy(), side["dec"].to_numpy(), unit="deg") for side in (a, b))
    _, separation, _ = match_coordinates_sky(sky_a, sky_b)
    return int(np.count_nonzero(separation.arcsec <= radius_arcsec))


def measure(which: str, path: str, radius_arcsec: float) -> None:
    """Print what was found, the seconds by the clock, and the peak memory in GB."""
    started = time.perf_counter()
    found = {"ours": ours, "peer": peer}[which](path, radius_arcsec)
    seconds = time.perf_counter() - started
    # not getrusage: its peak lives on through exec, and was that of the process that made the rows
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(json.dumps([found, seconds, int(peak[1]) * 1024 / 1e9 if peak else 0.0]))


def apart(which: str, path: Path, radius_arcsec: float) -> float:
    """Measure in a new process, print it, and give the seconds."""
    command = [sys.executable, __file__, "--measure", which, str(path), "--radius", str(radius_arcsec)]
    found, seconds, gigabytes = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    name = {"ours": "catbuilder crossmatch, one to one", "peer": "astropy, nearest of each"}[which]
    print(f"{name:36}{found:>12,} pairs{seconds:>9.2f} s{gigabytes:>8.2f} GB", flush=True)
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--a", type=int, default=1_000_000, help="rows of the first survey")
    parser.add_argument("--b", type=int, default=1_000_000, help="rows of the second survey")
    parser.add_argument("--radius", type=float, default=1.0, help="arcsec")
    parser.add_argument("--no-peer", action="store_true", help="ours alone, where the peer's memory is not there")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)  # what a process of its own is started with
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure, options.radius)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        workspace = create_workspace(Path(folder) / "ws")
        for seed, (survey, rows) in enumerate((("sdss", options.a), ("des", options.b)), start=1):
            make_survey(workspace, survey, rows, max(options.a, options.b), seed)
        print(f"{options.a:,} x {options.b:,} rows, within {options.radius:g} arcsec", flush=True)
        taken = apart("ours", workspace.path, options.radius)
        if options.no_peer:
            return 0
        ratio = apart("peer", workspace.path, options.radius) / taken
    print(f"catbuilder is {ratio:.2f} times as fast")
    return 0 if ratio >= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
