"""How fast the fixed-width file of a release is written, against NumPy's `savetxt`, and two rounds are compared.

A catalogue of so many scored objects is made without images. What `release` adds to an export is the file for the CDS:
its writer is measured with the rows streaming out of the catalogue, the peer from arrays in memory. `diff` compares two
rounds of which every object was scored in both.

    python scripts/bench/release.py [--objects 200000]

Exits with 1 where our writer is slower than the peer.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from catbuilder.catalogue.new_workspace import create_workspace
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.progress import Reporter
from catbuilder.exports.cds import cds_fields, write_cds
from catbuilder.exports.rows import open_selection
from catbuilder.inspection.round_diff import diff


def make(folder: Path, n: int) -> Workspace:
    """Two closed rounds over n objects, of which a few per cent change their class."""
    workspace = create_workspace(folder / "ws")
    rng = np.random.default_rng(0)
    ids = pa.array(np.arange(n) + 300_000_000, pa.int64())
    with workspace.recording("objects") as recording:
        objects = {"object_id": ids, "ra": rng.uniform(0, 360, n), "dec": rng.uniform(-60, 0, n),
                   "mag_r": rng.uniform(16, 22, n).astype(np.float32)}  # fmt: skip
        recording.con.register("made", pa.table(objects))
        recording.con.execute(
            "INSERT INTO objects BY NAME SELECT *, 'des' AS survey, 'des' AS origin, 1 AS round, ? AS run FROM made",
            [recording.run],
        )
    spiral = rng.random(n)
    for number in (1, 2):
        with workspace.recording(f"round {number}") as recording:
            con, run = recording.con, recording.run
            p = np.clip(spiral + 0.02 * rng.normal(size=n), 0, 1).astype(np.float32)
            con.register("scored", pa.table({"object_id": ids, "p_elliptical": 1 - p, "p_spiral": p}))
            stamp = {"round": number, "run": run}
            con.execute("INSERT INTO rounds BY NAME SELECT $round AS round, 'bench' AS recipe, 0 AS seed, 1 AS ranks, "
                        "'{}' AS plan, $run AS run", stamp)  # fmt: skip
            con.execute("INSERT INTO models BY NAME SELECT $round AS model, $round AS round, $run AS run", stamp)
            con.execute("INSERT INTO posteriors BY NAME SELECT *, 'des' AS survey, $round AS model, $round AS round, "
                        "$run AS run FROM scored", stamp)  # fmt: skip
            con.execute("INSERT INTO scorings BY NAME SELECT $round AS model, $round AS round, $run AS run", stamp)
            con.execute("INSERT INTO steps BY NAME SELECT $round AS round, 'closed' AS step, $run AS run, "
                        "now() AS recorded_at", stamp)  # fmt: skip
    return workspace


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--objects", type=int, default=200_000)
    n = parser.parse_args().objects
    quiet = Reporter(quiet=True)
    with tempfile.TemporaryDirectory() as folder:
        workspace = make(Path(folder), n)
        target = Path(folder) / "catalog.dat"
        with open_selection(workspace, target, 2, None, quiet) as selection:
            started = time.perf_counter()
            width = write_cds(selection, target)
            ours = time.perf_counter() - started
            fields = cds_fields(selection.columns)
        formats = {"I": "%{}d", "F": "%{}f", "A": "%{}s"}
        columns = [np.zeros(n, "i8" if f.format[0] == "I" else "f8" if f.format[0] == "F" else "U4") for f in fields]
        rows = np.rec.fromarrays(columns)
        written = [formats[field.format[0]].format(field.format[1:]) for field in fields]
        started = time.perf_counter()
        np.savetxt(Path(folder) / "peer.dat", rows, fmt=written)
        peer = time.perf_counter() - started
        started = time.perf_counter()
        changed = diff(workspace, 1, 2)
        took = time.perf_counter() - started
    ratio = peer / ours
    print(f"{n:,} objects, {len(fields)} columns in lines of {width} bytes")
    print(f"catalog.dat, out of the catalogue   {n / ours:12,.0f} rows a second")
    print(f"numpy.savetxt, out of memory        {n / peer:12,.0f} rows a second")
    print(f"{ratio:.1f} times as fast as the peer (bar 1){'' if ratio >= 1 else ': MISSED'}")
    print(f"diff of two rounds                  {n / took:12,.0f} objects a second: {changed.sentences()[0]}")
    return 0 if ratio >= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
