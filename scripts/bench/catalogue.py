"""The catalogue's own work at the size of a whole survey, and beside SQLite, pandas and astropy tables.

Objects come in by `ingest des` from Parquet files in the order of the ids, as an archive gives a table by its key:
id, tile, position with the archive's six decimals, random magnitudes and radii. Images of hundreds of millions are not
cut here: the rows that `assemble` and `ingest tiles` would record (population, split, stamp) are written straight into
the catalogue, and every object gets random posteriors, in shards as a round's workers leave them. From there on all
that is measured is catbuilder's own code: what a round records, decides and takes back, and what a person asks.

Every step runs in a process of its own, whose seconds by the clock and peak memory are told. 300 million objects need
80 GB of free disk, in --folder.

    python scripts/bench/catalogue.py [--objects 30000000] [--folder DIR]

Exits with 1 where a step takes longer than its share of what 300 million may take, or more than 8 GiB of memory, or
where the file is larger than 22 GB for 300 million objects.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catbuilder.catalogue.round_records import RoundPlan

WHOLE = 300_000_000
# Seconds that each step may take for 300 million objects; smaller catalogues get their share.
BARS = {
    "ingest": 300.0, "scores": 90.0, "promotion": 60.0, "standing labels": 20.0, "counts": 90.0, "why": 0.5,
    "status": 1.5,
}  # fmt: skip
CONSTANT = ("why", "status")  # bars that are the same at any size
MEMORY_GIB, FILE_GB = 8.0, 22.0
PER_TILE = 60_000
CHUNK = 2_000_000
ROUNDS = 3
PROMOTED = 1_000_000


def ids_of(first: int, end: int) -> np.ndarray:
    return 61_000_000_000 + 7 * np.arange(first, end, dtype=np.int64)


def write_source(folder: Path, objects: int) -> None:
    """A table of the DES main catalogue's own columns, in parts that follow each other in the order of the ids."""
    folder.mkdir()
    with ProcessPoolExecutor() as pool:
        list(pool.map(_write_part, repeat(folder), _portions(objects), repeat(objects)))


def _portions(objects: int) -> range:
    return range(0, objects, CHUNK)


def _write_part(folder: Path, first: int, objects: int) -> None:
    rng, end = np.random.default_rng(first), min(first + CHUNK, objects)
    tile = np.arange(first, end) // PER_TILE
    columns = {
        "COADD_OBJECT_ID": ids_of(first, end),
        "TILENAME": pa.array(np.char.mod("DES%05d", np.unique(tile))).take(pa.array(tile - tile[0])),
        "RA": np.round((tile % 400) * 0.75 + rng.uniform(0, 0.75, end - first), 6),
        "DEC": np.round((tile // 400) * 0.75 - 60 + rng.uniform(0, 0.75, end - first), 6),
        **{f"MAG_AUTO_{band}": rng.normal(21, 1.5, end - first).astype("f4") for band in "GRI"},
        "A_IMAGE": rng.gamma(4, 1, end - first).astype("f4"),
        "KRON_RADIUS": np.full(end - first, 3.5, "f4"),
    }
    pq.write_table(pa.table(columns), folder / f"des-{first // CHUNK:05d}.parquet")


def write_scores(folder: Path, model: int, objects: int) -> None:
    """Shards as a round's workers leave them: posteriors like a trained network's, sure of most objects."""
    folder.mkdir(parents=True)
    with ProcessPoolExecutor() as pool:
        list(pool.map(_write_shard, repeat(folder), repeat(model), _portions(objects), repeat(objects)))


def _write_shard(folder: Path, model: int, first: int, objects: int) -> None:
    rng, end = np.random.default_rng((model, first)), min(first + CHUNK, objects)
    elliptical = (1 / (1 + np.exp(-rng.normal(0, 3, end - first)))).astype(np.float32)
    columns = {
        "survey": pa.array(["des"]).take(pa.array(np.zeros(end - first, np.int8))), "object_id": ids_of(first, end),
        "p_elliptical": elliptical, "p_spiral": np.float32(1) - elliptical,
    }  # fmt: skip
    pq.write_table(pa.table(columns), folder / f"scores-{first // CHUNK:05d}.parquet", compression="zstd")


def ingest(workspace_path: Path, source: Path, _: int) -> None:
    """`catbuilder ingest des`."""
    from catbuilder.catalogue.workspace import Workspace
    from catbuilder.ingest.tables.survey_catalogue import ingest_survey

    ingest_survey(Workspace.open(workspace_path), source, "des")


def furnish(workspace_path: Path, _: Path, objects: int) -> None:
    """What `assemble` and `ingest tiles` would record of every object: not measured."""
    from catbuilder.catalogue.workspace import Workspace

    tables = {
        "populations": "SELECT 'des' AS survey, 'des_dr1' AS population",
        "domains": "SELECT survey, object_id, 'in' AS domain FROM objects",
        "splits": "SELECT survey, object_id, 'pool' AS split FROM objects",
        "stamps": "SELECT survey, object_id, 'stamps/des/' || md5((rowid // 8192)::VARCHAR)[:16] || '.npy' AS shard, "
        "(rowid % 8192)::INTEGER AS row, 'DES' || rowid // 60000 || '_r.fits' AS file, "
        "sha256((rowid // 60000)::VARCHAR) AS sha256, 'lupton' AS rendering, 0.263 AS arcsec_per_pixel, "
        "64 AS width_px, 64 AS height_px, 'ok' AS quality FROM objects",
    }
    with Workspace.open(workspace_path).recording("furnish") as recording:
        for table, text in tables.items():
            recording.con.execute(f"INSERT INTO {table} BY NAME SELECT *, ? AS round, ? AS run FROM ({text})",
                                  [recording.round, recording.run])  # fmt: skip


def plan_of(number: int, objects: int) -> RoundPlan:
    """The plan of a round that promotes a million of 300 million objects by rank, of fewer their share."""
    from catbuilder.core.recipe import load_recipe

    per_class = max(1, PROMOTED * objects // WHOLE) // 2
    recipe = load_recipe("demo", ["promotion.policy=top_k", f"promotion.per_class={per_class}"])
    return RoundPlan(
        round=number, recipe=recipe, classes=("elliptical", "spiral"), seed=0, ranks=1, threads=1, training=0,
        validation=0, scored=objects, manifest_sha256="", score_manifest_sha256="",
    )  # fmt: skip


def begin_round(workspace_path: Path, number: int, objects: int) -> None:
    """What a round has recorded before it scores: not measured."""
    from catbuilder.catalogue.round_records import record_step
    from catbuilder.catalogue.workspace import Workspace

    plan = plan_of(number, objects)
    with Workspace.open(workspace_path).recording("plan") as recording:
        recording.con.execute(
            "INSERT INTO rounds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [number, plan.recipe.name, plan.recipe.sha256, 0, 1, 1, "", plan.model_dump_json(), recording.run],
        )
        record_step(recording, number, "planned", "{}")
        recording.con.execute("INSERT INTO models (model, file, round, run) VALUES (?, '', ?, ?)",
                              [number, number, recording.run])  # fmt: skip
        record_step(recording, number, "trained", "{}")


def scores(workspace_path: Path, shards: Path, objects: int) -> None:
    """The step `scored` of a round."""
    from catbuilder.catalogue.round_records import record_step
    from catbuilder.catalogue.workspace import Workspace
    from catbuilder.decisions.calibration_set import record_calibrator
    from catbuilder.rounds.scoring import record_scores

    number = int(shards.name)
    files = sorted(shards.glob("*.parquet"))
    with Workspace.open(workspace_path).recording(f"round {number}: scored") as recording:
        record_calibrator(recording, plan_of(number, objects), files)
        record_scores(recording, plan_of(number, objects), files, number)
        record_step(recording, number, "scored", json.dumps({"objects": objects}))


def promotion(workspace_path: Path, shards: Path, objects: int) -> None:
    """The step `decided` of a round: what its model disowns is retracted, the surest are promoted."""
    from catbuilder.catalogue.round_records import record_step
    from catbuilder.catalogue.workspace import Workspace
    from catbuilder.decisions.promote import decide, record_decisions

    number = int(shards.name)
    workspace = Workspace.open(workspace_path)
    with workspace.recording(f"round {number}: decided") as recording:
        decisions = decide(recording.con, workspace, plan_of(number, objects))
        record_decisions(recording, plan_of(number, objects), decisions)
        details = {"promoted": decisions.promoted, "retracted": decisions.retracted}
        record_step(recording, number, "decided", json.dumps(details))
    print(f"{decisions.promoted} promoted, {decisions.retracted:,} retracted", file=sys.stderr)


def check(workspace_path: Path, _: Path, __: int) -> None:
    """What `check` asks of the catalogue; there are no files here whose hashes it could compare."""
    from catbuilder.catalogue.workspace import Workspace
    from catbuilder.inspection.check import check

    faults = [f for f in check(Workspace.open(workspace_path)) if f.count and f.check not in ("stamps", "models")]
    if faults:
        raise SystemExit(f"check found {faults}")


def close_round(workspace_path: Path, shards: Path, _: int) -> None:
    """The step `closed`: not measured."""
    from catbuilder.catalogue.round_records import record_step
    from catbuilder.catalogue.workspace import Workspace

    with Workspace.open(workspace_path).recording("close") as recording:
        record_step(recording, int(shards.name), "closed", "{}")


STEPS: dict[str, Callable[[Path, Path, int], None]] = {
    "ingest": ingest, "furnish": furnish, "scores": scores, "promotion": promotion, "close": close_round,
    "check": check,
}  # fmt: skip


def measured(what: str, workspace: Path, file: Path, objects: int) -> dict[str, float]:
    """One step in a process of its own: seconds, processor seconds, peak GiB."""
    command = [sys.executable, __file__, "--work", what, "--workspace", str(workspace), "--file", str(file),
               "--objects", str(objects)]  # fmt: skip
    return spent_by(command)


def spent_by(command: list[str]) -> dict[str, float]:
    """Seconds by the clock with the start of the process, processor seconds and peak memory of a command."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return {
        "seconds": time.perf_counter() - started,
        "cpu": used.ru_utime + used.ru_stime,
        "gib": used.ru_maxrss / 2**20,
    }


def asked(workspace: Path, *words: str) -> dict[str, float]:
    """A command as a person gives it."""
    return spent_by([str(Path(sys.executable).with_name("catbuilder")), "-w", str(workspace), *words])


Told = list[tuple[str, str, dict[str, float]]]  # (bar, what, spent)


def run(folder: Path, objects: int) -> tuple[Told, float]:
    """Every step in turn, and GB of the file."""
    workspace, source = folder / "survey", folder / "des"
    told: Told = []

    def note(bar: str, what: str, spent: dict[str, float]) -> None:
        told.append((bar, what, spent))
        print(f"{what}: {spent['seconds']:.1f} s, {spent['gib']:.2f} GiB", file=sys.stderr, flush=True)

    from catbuilder.catalogue.new_workspace import create_workspace

    create_workspace(workspace)
    write_source(source, objects)
    note("ingest", "ingest des", measured("ingest", workspace, source, objects))
    shutil.rmtree(source)
    measured("furnish", workspace, source, objects)
    for number in range(1, ROUNDS + 1):
        shards = folder / "shards" / str(number)
        write_scores(shards, number, objects)
        begin_round(workspace, number, objects)
        note("scores", f"round {number}: scores recorded", measured("scores", workspace, shards, objects))
        what = f"round {number}: promotion and retraction"
        note("promotion", what, measured("promotion", workspace, shards, objects))
        measured("close", workspace, shards, objects)
        shutil.rmtree(shards)
    size = (workspace / "catalog.duckdb").stat().st_size / 1e9
    ask(workspace, objects, note)
    return told, size


def ask(workspace: Path, objects: int, note: Callable[[str, str, dict[str, float]], None]) -> None:
    """What a person asks, as a person asks it, and what keeps the catalogue in order."""
    some = str(ids_of(objects // 3, objects // 3 + 1)[0])
    for number in range(1, ROUNDS + 1):
        text = f"SELECT source, label, count(*) FROM standing_labels_at({number}) GROUP BY ALL"
        note("standing labels", f"standing labels as of round {number}", asked(workspace, "sql", text))
    counting = ("count", "--by", "label,predicted_label,domain,split", "--at", "2")
    note("counts", "counts over catalog_at(2) with predictions", asked(workspace, *counting))
    note("why", "why", asked(workspace, "why", some))
    note("", "status --count", asked(workspace, "status", "--count"))
    note("status", "status", asked(workspace, "status"))
    for strategy in ("margin", "random"):
        what = ("select", "--strategy", strategy, "--n", "50")
        note("", " ".join(what), asked(workspace, *what))
    note("", "rollback --to 1", asked(workspace, "rollback", "--to", "1"))
    note("", "compact --keep 1", asked(workspace, "compact", "--keep", "1"))
    note("why", "why, with two rounds of scores in Parquet", asked(workspace, "why", some))
    note("", "check, but for files", measured("check", workspace, workspace, objects))


def tell(told: Told, size: float, objects: int) -> bool:
    """Print the table; whether every bar is kept."""
    kept = True
    print(f"{objects:,} objects, {ROUNDS} rounds of scores")
    print(f"{'':46}{'seconds':>9}{'CPU s':>9}{'peak GiB':>10}{'bar s':>8}")
    for bar, what, took in told:
        share = 1.0 if bar in CONSTANT else objects / WHOLE
        most = BARS[bar] * share if bar else None
        missed = took["gib"] > MEMORY_GIB or (most is not None and took["seconds"] > most + (bar not in CONSTANT))
        kept &= not missed
        print(f"{what:46}{took['seconds']:>9.2f}{took['cpu']:>9.1f}{took['gib']:>10.2f}"
              f"{f'{most:.1f}' if most is not None else '':>8}{'  MISSED' if missed else ''}")  # fmt: skip
    most_gb = FILE_GB * objects / WHOLE
    print(f"the file: {size:.2f} GB of {most_gb:.2f} GB; {1e9 * size / objects:.1f} bytes an object")
    return kept and size <= most_gb


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--objects", type=int, default=30_000_000)
    parser.add_argument("--folder", type=Path, help="where the catalogue is made, and removed again")
    parser.add_argument("--work", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--workspace", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        STEPS[given.work](given.workspace, given.file, given.objects)
        return 0
    os.environ.setdefault("CATBUILDER_MEMORY_LIMIT", "6GB")  # of DuckDB; a process takes some more
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        told, size = run(Path(name), given.objects)
    return 0 if tell(told, size, given.objects) else 1


if __name__ == "__main__":
    sys.exit(main())
