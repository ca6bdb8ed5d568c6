"""How fast `catbuilder ingest des` takes in a large table, against DuckDB's bare copy of the same columns.

The file holds synthetic rows of the DES main table in random order of their ids: 30 columns, most of them random
floats, which no compression helps. The peer is `CREATE TABLE ... AS SELECT` of those columns from the same Parquet
file: no checks, no order, no second table. Every ingest runs in a process of its own, whose seconds by the clock, CPU
seconds and peak memory are told. Ten million rows need 1.2 GB for each of the two files, as much for
DuckDB's temporary ones and 0.9 GB for each catalogue, in the folder for temporary files.

    python scripts/bench/ingest.py [--rows 10000000]

Exits with 1 where Parquet comes in at less than 10 million rows a minute, FITS at less than half the speed
of Parquet, or either takes more than 2 GiB.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits

FLOOR = 10_000_000 / 60  # rows a second from Parquet
MEMORY_GIB = 2.0
CHUNK = 500_000

_FLOATS = (
    *(f"MAG_AUTO_{band}" for band in "GRIZY"), "A_IMAGE", "B_IMAGE", "THETA_J2000", "KRON_RADIUS", "FLUX_RADIUS_I",
    "FWHM_IMAGE_I", "SPREAD_MODEL_I", "SPREADERR_MODEL_I", "WAVG_SPREAD_MODEL_I", "WAVG_SPREADERR_MODEL_I",
)  # fmt: skip
_SMALL = tuple(f"{name}_{band}" for name in ("FLAGS", "NEPOCHS") for band in "GRI")
_WHOLE = tuple(f"IMAFLAGS_ISO_{band}" for band in "GRI")
ROW = np.dtype(
    [("COADD_OBJECT_ID", "i8"), ("TILENAME", "S12")]
    + [(name, "f8") for name in ("RA", "DEC", "XWIN_IMAGE", "YWIN_IMAGE")]
    + [(name, "f4") for name in _FLOATS] + [(name, "i2") for name in _SMALL] + [(name, "i4") for name in _WHOLE]
)  # fmt: skip


def draw(ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of the DES main table with these ids."""
    rows = np.zeros(len(ids), ROW)
    rows["COADD_OBJECT_ID"] = 61_000_000_000 + 7 * ids
    rows["TILENAME"] = np.char.mod("DES%04d-4914", np.arange(len(ids)) // 5000).astype("S12")
    rows["RA"] = rng.uniform(0, 100, len(ids))
    rows["DEC"] = np.degrees(np.arcsin(rng.uniform(-0.9, 0.0, len(ids))))
    for name in ("XWIN_IMAGE", "YWIN_IMAGE"):
        rows[name] = rng.uniform(0, 10_000, len(ids))
    for name in _FLOATS:
        rows[name] = rng.normal(20, 2, len(ids))
    for name in (*_SMALL, *_WHOLE):
        rows[name] = rng.integers(0, 4, len(ids))
    return rows


def write_files(folder: Path, rows: int) -> tuple[Path, Path]:
    """The same rows as Parquet and as FITS."""
    rng = np.random.default_rng(1)
    order = rng.permutation(rows)
    parquet, fits_file = folder / "des.parquet", folder / "des.fits"
    header = fits.BinTableHDU(np.zeros(1, ROW)).header
    header["NAXIS2"] = rows
    schema = pa.schema(
        [(name, pa.string() if name == "TILENAME" else pa.from_numpy_dtype(ROW[name])) for name in ROW.names]
    )
    with pq.ParquetWriter(parquet, schema) as out, open(fits_file, "wb") as raw:
        raw.write(fits.PrimaryHDU().header.tostring().encode())
        raw.write(header.tostring().encode())
        for first in range(0, rows, CHUNK):
            chunk = draw(order[first : first + CHUNK], rng)
            raw.write(chunk.astype(ROW.newbyteorder(">")).tobytes())
            columns = [
                chunk[name].astype(str) if name == "TILENAME" else np.ascontiguousarray(chunk[name])
                for name in ROW.names
            ]
            out.write_table(pa.table(columns, schema=schema))
        raw.write(b"\0" * (-raw.tell() % 2880))
    return parquet, fits_file


def work(what: str, file: Path, folder: Path) -> None:
    """One ingest, or the peer's copy, in this process; tells what it took as JSON."""
    from catbuilder.catalogue.new_workspace import create_workspace
    from catbuilder.ingest.tables.survey_catalogue import ingest_survey

    if what == "peer":
        con = duckdb.connect(str(folder / "peer.duckdb"))
        con.execute("SET memory_limit = '1GB'")
        started = time.perf_counter()
        con.execute("CREATE TABLE des AS SELECT * FROM read_parquet($file)", {"file": str(file)})
        con.execute("CHECKPOINT")
        con.close()
    else:
        workspace = create_workspace(folder / what)
        started = time.perf_counter()
        ingest_survey(workspace, file, "des")
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = {
        "seconds": time.perf_counter() - started,
        "cpu": used.ru_utime + used.ru_stime,
        "gib": used.ru_maxrss / 2**20,
    }
    print(json.dumps(spent))


def measure(what: str, file: Path, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--work", what, "--file", str(file), "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--work", choices=("peer", "parquet", "fits"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        work(asked.work, asked.file, asked.folder)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parquet, fits_file = write_files(folder, asked.rows)
        sizes = " and ".join(f"{file.stat().st_size / 1e9:.2f} GB {file.suffix[1:]}" for file in (parquet, fits_file))
        print(f"{asked.rows:,} rows of {len(ROW.names)} columns: {sizes} in {folder}")
        spent = {what: measure(what, file, folder) for what, file in
                 (("peer", parquet), ("parquet", parquet), ("fits", fits_file))}  # fmt: skip
    return tell(spent, asked.rows)


def tell(spent: dict[str, dict[str, float]], rows: int) -> int:
    names = {"peer": "DuckDB, bare copy of Parquet", "parquet": "ingest des, Parquet", "fits": "ingest des, FITS"}
    print(f"{'':30}{'seconds':>9}{'CPU s':>8}{'rows/s':>12}{'peak GiB':>10}{'x peer':>8}")
    for what, took in spent.items():
        ratio = took["seconds"] / spent["peer"]["seconds"]
        rate = rows / took["seconds"]
        print(
            f"{names[what]:30}{took['seconds']:>9.1f}{took['cpu']:>8.1f}{rate:>12,.0f}{took['gib']:>10.2f}{ratio:>8.1f}"
        )
    met = {
        f"Parquet at {FLOOR:,.0f} rows/s": rows / spent["parquet"]["seconds"] >= FLOOR,
        "FITS at half the speed of Parquet": spent["fits"]["seconds"] <= 2 * spent["parquet"]["seconds"],
        f"{MEMORY_GIB:g} GiB": max(took["gib"] for what, took in spent.items() if what != "peer") <= MEMORY_GIB,
    }
    print("; ".join(f"{floor}: {'met' if kept else 'MISSED'}" for floor, kept in met.items()))
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
