"""How fast `similar` finds neighbours in kept features, against scikit-learn's brute force on the same file.

Both begin with the Parquet file of features and end with the 20 nearest of one object by the cosine. The peer holds all
features in memory; ours streams. Each runs in a process of its own, so that the peaks of memory can be told apart.

    python scripts/bench/similar.py [--objects 100000] [--features 256]

Exits with 1 where ours is slower than the peer.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.neighbors import NearestNeighbors

from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.core.resources import query

N = 20
PORTION = 50_000


def make(file: Path, objects: int, features: int) -> None:
    kind = pa.list_(pa.float32(), features)
    schema = pa.schema([("survey", pa.string()), ("object_id", pa.int64()), ("features", kind)])
    with pq.ParquetWriter(file, schema) as out:
        for first in range(0, objects, PORTION):
            n = min(PORTION, objects - first)
            flat = np.maximum(np.random.default_rng([7, first]).normal(size=n * features), 0).astype(np.float32)
            ids = pa.array(np.arange(first, first + n), pa.int64())
            values = pa.FixedSizeListArray.from_arrays(pa.array(flat), features)
            out.write_table(pa.table([pa.array(["des"] * n), ids, values], schema=schema))


def ours(file: str) -> list[int]:
    con = duckdb.connect()
    (wanted,) = con.execute("SELECT features FROM read_parquet(?) WHERE object_id = 0", [file]).fetchall()[0]
    asked = {"files": [file], "features": list(wanted), "survey": "des", "object_id": 0, "n": N}
    return fetch_arrow(con, query("inspection/similar_objects"), asked)["object_id"].to_pylist()


def peer(file: str) -> list[int]:
    table = pq.read_table(file)
    flat = table["features"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
    _, places = NearestNeighbors(n_neighbors=N + 1, metric="cosine", algorithm="brute").fit(flat).kneighbors(flat[:1])
    return table["object_id"].to_numpy()[places[0]][1:].tolist()


def measure(which: str, file: str) -> None:
    """Print what was found, the seconds by the clock, and the peak memory in MB."""
    started = time.perf_counter()
    found = {"ours": ours, "peer": peer}[which](file)
    peak = getrusage(RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"found": found, "seconds": time.perf_counter() - started, "mb": peak}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(*arguments.measure)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "features.parquet"
        make(file, arguments.objects, arguments.features)
        results = {}
        for which in ("ours", "peer"):
            command = [sys.executable, __file__, "--measure", which, str(file)]
            results[which] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    alike = len(set(results["ours"]["found"]) & set(results["peer"]["found"]))
    print(f"{arguments.objects:,} objects of {arguments.features} features, the {N} nearest of one ({alike} alike)")
    for which, name in (("ours", "similar"), ("peer", "scikit-learn, brute force")):
        print(f"{name:<28}{results[which]['seconds']:8.2f} s {results[which]['mb']:8.0f} MB at most")
    ratio = results["peer"]["seconds"] / results["ours"]["seconds"]
    print(f"{ratio:.1f} times as fast as the peer (bar 1){'' if ratio >= 1 else ': MISSED'}")
    return 0 if ratio >= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
