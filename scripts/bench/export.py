"""How fast and in how much memory the exports are, against astropy and fitsio writing the same rows.

A catalogue of synthetic objects, each with a prediction and every tenth with a label, is exported whole in a process
of its own: what is timed goes from the joins in the catalogue to the file's last byte. Then writers alone, each from
the same rows in one table of DuckDB, without joins, by its own fetch: ours, as an export has its rows; and the peers,
as fast as we know how: astropy whole (`Table.write`, which knows no other way), fitsio in chunks, appended. They take
turns, and medians are compared: of the time, and of the processor's seconds, which a busy machine disturbs less. For
VOTable, which astropy writes at some ten thousand rows a second, the peer is given the first of the rows alone. Every
export is opened again: checksums, number of rows, and equality of a sample of rows.

    python scripts/bench/export.py [--rows 3000000] [--format fits --format vot ...] [--repeats 3] [--no-peer]

Exits with 1 where FITS is not 3 times as fast as astropy and 6 times as fitsio, VOTable not 50 times as astropy, an
export takes more than 400 MiB, or something that was written is not what was in the catalogue.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

MEMORY_MIB = 400.0
FITS_ASTROPY, FITS_FITSIO, VOTABLE_ASTROPY = 3.0, 6.0, 50.0
VOTABLE_PEER_ROWS = 100_000
PORTION = 1_000_000
SAMPLE = 997  # every so many rows are compared, value by value
Times = np.ndarray
FORMATS = ("fits", "vot", "parquet", "hats", "csv")


def make_catalogue(path: Path, rows: int) -> None:
    """Objects with positions and magnitudes, one model's predictions of all, labels of the surest tenth."""
    from catbuilder.catalogue.new_workspace import create_workspace
    from catbuilder.core.sky import healpix_cell

    workspace = create_workspace(path)
    with workspace.recording("bench") as recording:
        for first in range(0, rows, PORTION):
            n = min(PORTION, rows - first)
            rng = np.random.default_rng(first)
            ra, dec = rng.uniform(0, 100, n), np.degrees(np.arcsin(rng.uniform(-0.9, 0.0, n)))
            p = rng.uniform(0, 1, n).astype("f4")
            columns = {
                "object_id": 61_000_000_000 + 7 * np.arange(first, first + n), "ra": ra, "dec": dec,
                "healpix": healpix_cell(ra, dec), "radius_arcsec": rng.gamma(2, 1, n).astype("f4"),
                **{f"mag_{band}": rng.normal(22, 1, n).astype("f4") for band in "gri"},
                "p_elliptical": p, "p_spiral": 1 - p,
            }  # fmt: skip
            recording.con.register("portion", pa.table(columns))
            for statement in _INSERTS:
                recording.con.execute(statement, {"run": recording.run, "first": first})
            recording.con.unregister("portion")


_CLASS = "CASE WHEN p_elliptical > 0.5 THEN 'elliptical' ELSE 'spiral' END"
_INSERTS = (
    "INSERT INTO objects BY NAME SELECT 'des' AS survey, * EXCLUDE (p_elliptical, p_spiral), 'in' AS domain, "
    "'des' AS origin, 1 AS round, $run AS run FROM portion WHERE $first >= 0",
    "INSERT INTO posteriors BY NAME SELECT 'des' AS survey, object_id, p_elliptical, p_spiral, 1 AS model, 1 AS round, "
    "$run AS run FROM portion WHERE $first >= 0",
    "INSERT INTO scorings BY NAME SELECT 1 AS model, 0 AS scored, 1 AS round, $run AS run WHERE $first = 0",
    f"INSERT INTO labels BY NAME SELECT $first + row_number() OVER () AS event, 'des' AS survey, object_id, 'label' AS "
    f"kind, {_CLASS} AS label, greatest(p_elliptical, p_spiral) AS confidence, 'promoted' AS source, 1 AS model, "
    "1 AS round, $run AS run FROM portion WHERE greatest(p_elliptical, p_spiral) > 0.95",
)


# --- what runs in a process of its own; each gives the rows it wrote and the seconds it took


def now() -> Times:
    """Seconds of the clock, and of the processor in all threads of this process."""
    return np.array([time.perf_counter(), time.process_time()])


def ours_whole(folder: Path, form: str, rows: int) -> Times:
    """The whole export, from the joins in the catalogue to the file's last byte."""
    from catbuilder.catalogue.workspace import Workspace
    from catbuilder.exports.export import export

    started = now()
    report = export(Workspace.open(folder / "ws"), folder / f"whole.{form}")
    assert report.rows == rows, "rows are missing"
    return now() - started


def ours_writer(folder: Path, form: str, rows: int) -> Times:
    """From the peers' table, by batches of DuckDB, to the finished file: no joins."""
    import astropy.table  # noqa: F401 - astropy.io.fits loads it late; of no writer are imports timed

    from catbuilder.catalogue.round_records import NOW
    from catbuilder.catalogue.workspace import Workspace
    from catbuilder.core.progress import Reporter
    from catbuilder.exports.fits import write_fits
    from catbuilder.exports.rows import FETCH_ROWS, Selection, export_columns, limit_export_memory
    from catbuilder.exports.votable import write_votable

    started = now()
    with Workspace.open(folder / "ws").reading() as con:
        columns = export_columns(con, NOW)
    with duckdb.connect(str(folder / "plain.duckdb"), read_only=True) as con:
        limit_export_memory(con, folder)
        reader = con.sql("SELECT * FROM rows").to_arrow_reader(FETCH_ROWS)
        source = ((1, batch) for batch in reader)
        selection = Selection(columns, (), folder, Reporter(quiet=True), 1, source)
        (write_fits if form == "fits" else write_votable)(selection, folder / f"writer.{form}")
    assert selection.rows == rows, "rows are missing"
    return now() - started


def astropy_writer(folder: Path, form: str, rows: int) -> Times:
    """DuckDB's columns to an astropy Table, text as S, and `Table.write`."""
    from astropy.table import MaskedColumn, Table

    with duckdb.connect(str(folder / "plain.duckdb"), read_only=True) as con:
        started = now()
        columns = con.execute("SELECT * FROM rows LIMIT $rows", {"rows": rows}).to_arrow_table()
        table = Table()
        for name, column in zip(columns.column_names, columns.columns, strict=True):
            values = plain_values(column.combine_chunks())
            table[name] = MaskedColumn(values, mask=column.is_null().to_numpy()) if column.null_count else values
        if form == "fits":
            table.write(folder / "astropy.fits", overwrite=True)
        else:
            table.write(folder / "astropy.vot", format="votable", tabledata_format="binary2", overwrite=True)
        return now() - started


def fitsio_writer(folder: Path, form: str, rows: int) -> Times:
    """Chunks of DuckDB's rows as NumPy records, appended."""
    import fitsio

    with duckdb.connect(str(folder / "plain.duckdb"), read_only=True) as con:
        started = now()
        widths = text_widths(con)
        reader = con.execute("SELECT * FROM rows LIMIT $rows", {"rows": rows}).to_arrow_reader(100_000)
        kinds = [
            (field.name, f"S{widths[field.name]}" if field.name in widths else field.type.to_pandas_dtype())
            for field in reader.schema
        ]
        with fitsio.FITS(str(folder / "fitsio.fits"), "rw", clobber=True) as out:
            for n, batch in enumerate(reader):
                block = np.zeros(batch.num_rows, kinds)
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    block[name] = plain_values(column)
                if n == 0:
                    out.write(block)
                else:
                    out[-1].append(block)
        return now() - started


def plain_values(column: pa.Array) -> np.ndarray:
    """A column for a peer: text as S by way of the distinct values, missing numbers NaN, what else is missing zero."""
    if pa.types.is_string(column.type):
        coded = column.dictionary_encode()
        words = np.array([*coded.dictionary.to_pylist(), ""], "S")
        return words[coded.indices.fill_null(len(words) - 1).to_numpy()]
    if pa.types.is_floating(column.type):
        return column.to_numpy(zero_copy_only=False)
    return column.fill_null(False if pa.types.is_boolean(column.type) else 0).to_numpy(zero_copy_only=False)


def text_widths(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    names = [name for name, kind, *_ in con.execute("DESCRIBE rows").fetchall() if kind == "VARCHAR"]
    longest = ", ".join(f'greatest(1, coalesce(max(strlen("{name}")), 1))' for name in names)
    row = con.execute(f"SELECT {longest} FROM rows").fetchone() or ()
    return dict(zip(names, row, strict=True))


def make_plain_table(folder: Path) -> None:
    """The peers' rows: the catalogue as one table of DuckDB, without a join."""
    with duckdb.connect(str(folder / "plain.duckdb")) as con:
        con.execute(f"ATTACH '{folder / 'ws' / 'catalog.duckdb'}' AS ours (READ_ONLY)")
        con.execute("USE ours")
        con.execute("CREATE TABLE plain.rows AS SELECT * FROM catalog ORDER BY survey, object_id")


# --- what was written, opened again


def verify(folder: Path, form: str, rows: int) -> None:
    """Raise AssertionError unless the export has all the rows and those of a sample are the catalogue's."""
    file = folder / f"whole.{form}"
    with duckdb.connect(str(folder / "plain.duckdb"), read_only=True) as con:
        query = f"SELECT * FROM rows WHERE (object_id - 61000000000) // 7 % {SAMPLE} = 0 ORDER BY object_id"
        wanted = con.sql(query).to_arrow_table()
        if form in ("parquet", "hats", "csv"):
            read = {
                "parquet": f"read_parquet('{file}')",
                "hats": f"read_parquet('{file}/dataset/*/*/*.parquet', hive_partitioning = false)",
                "csv": f"read_csv('{file}', all_varchar = false, sample_size = -1)",
            }[form]
            names = ", ".join(wanted.column_names)
            assert con.execute(f"SELECT count(*) FROM {read}").fetchone() == (rows,), "rows are missing"
            if form == "csv":
                types = ", ".join(f"'{n}': '{t}'" for n, t, *_ in con.execute("DESCRIBE rows").fetchall())
                read = f"read_csv('{file}', columns = {{{types}}}, header = true)"
            got = con.execute(query.replace("SELECT *", f"SELECT {names}").replace("FROM rows", f"FROM {read}"))
            assert got.to_arrow_table().equals(wanted), "a row differs"
            return
    if form == "hats":
        return
    from astropy.io import fits
    from astropy.table import Table

    if form == "fits":
        with fits.open(file, checksum=True) as hdus:
            hdus.verify("exception")
            assert all(hdu.verify_checksum() == 1 and hdu.verify_datasum() == 1 for hdu in hdus), "a checksum is wrong"
    table = Table.read(file) if form == "fits" else Table.read(file, format="votable")
    assert len(table) == rows, "rows are missing"
    sample = table[::SAMPLE]
    for name in wanted.column_names:
        for got_value, value in zip(sample[name].tolist(), wanted[name].to_pylist(), strict=True):
            assert same(got_value, value), f"{name}: {got_value!r}, not {value!r}"


def same(got: object, wanted: object) -> bool:
    if wanted is None:
        return got is None or got in ("", b"", False) or got != got
    if isinstance(got, bytes):
        got = got.decode()
    return got == wanted or (got != got and wanted != wanted)


WORK = {"whole": ours_whole, "writer": ours_writer, "astropy": astropy_writer, "fitsio": fitsio_writer}


def measure(what: str, form: str, folder: Path, rows: int) -> tuple[Times, float]:
    """Seconds and peak MiB of one of these in a new process, and print both."""
    (folder / f"{what}.{form}").unlink(missing_ok=True)  # to cut an old file down takes time
    words = ["--work", what, "--format", form, "--folder", str(folder), "--rows", str(rows)]
    done = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True)
    wall, cpu, peak = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{what:9}{form:9}{rows:>11,} rows{wall:>8.2f} s{cpu:>8.2f} CPU s{rows / wall:>11,.0f} rows/s{peak:>7.0f} MiB",
        flush=True,
    )
    return np.array([wall, cpu]), peak


def work(what: str, form: str, folder: Path, rows: int) -> None:
    seconds = WORK[what](folder, form, rows)
    # not getrusage: its peak lives on through exec, and was that of the process that made the rows
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(json.dumps([*seconds, int(found[1]) / 1024 if found else 0.0]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--format", choices=FORMATS, action="append", help="by default all; may be repeated")
    parser.add_argument("--repeats", type=int, default=3, help="of each writer")
    parser.add_argument("--no-peer", action="store_true", help="ours alone, where the peers' memory is not there")
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)  # what a process of its own is started with
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    forms = asked.format or list(FORMATS)
    if asked.work:
        work(asked.work, forms[0], asked.folder, asked.rows)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_catalogue(folder / "ws", asked.rows)
        make_plain_table(folder)
        met = {}
        for form in forms:
            _, peak = measure("whole", form, folder, asked.rows)
            met[f"{form} in {MEMORY_MIB:g} MiB"] = peak <= MEMORY_MIB
            verify(folder, form, asked.rows)
            met |= (
                ratios(form, folder, asked.rows, asked.repeats) if form in ("fits", "vot") and not asked.no_peer else {}
            )
    print("; ".join(f"{bar}: {'met' if kept else 'MISSED'}" for bar, kept in met.items()))
    return 0 if all(met.values()) else 1


def ratios(form: str, folder: Path, rows: int, repeats: int) -> dict[str, bool]:
    """Our writer against the peers, in turns."""
    peers = {"astropy": (FITS_ASTROPY, rows), "fitsio": (FITS_FITSIO, rows)}
    if form == "vot":
        peers = {"astropy": (VOTABLE_ASTROPY, min(rows, VOTABLE_PEER_ROWS))}
    counts = {"writer": rows} | {peer: peer_rows for peer, (_, peer_rows) in peers.items()}
    runs = [{what: measure(what, form, folder, n)[0] / n for what, n in counts.items()} for _ in range(repeats)]
    median = {what: np.median([run[what] for run in runs], axis=0) for what in counts}
    met = {}
    for peer, (bar, _) in peers.items():
        wall, cpu = median[peer] / median["writer"]
        print(
            f"{form}: {wall:.1f} times the rate of {peer} (to be at least {bar:g}), by CPU seconds {cpu:.1f}",
            flush=True,
        )
        met[f"{form} {bar:g} x {peer}"] = bool(wall >= bar)
    return met


if __name__ == "__main__":
    sys.exit(main())
