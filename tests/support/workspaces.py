"""Small workspaces with real images, labels, scores and closed rounds, and the command line to ask them with."""

import contextlib
import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from support.catalogue_reading import reading
from support.made_once import made_once, shared
from support.new_workspace import create_workspace
from support.toy_survey import toy_recipe

from catbuilder.catalogue.label_events import EVENTS, record_events
from catbuilder.catalogue.round_records import RoundPlan, record_step
from catbuilder.catalogue.workspace import Recording, Workspace, replace_older
from catbuilder.cli.main import main
from catbuilder.core.recipe import Recipe
from catbuilder.core.resources import sql_folder
from catbuilder.decisions.calibration_set import calibration_metrics, record_calibrator
from catbuilder.decisions.evaluate import evaluate_round, record_metrics
from catbuilder.decisions.promote import decide, record_decisions
from catbuilder.rounds.scoring import record_scores

RECIPE: Recipe = toy_recipe()
SIZE = 32


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of standard error that says what is wrong; there must be no other."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("Error: "), self.err
        assert "Traceback" not in self.err
        return lines[0].removeprefix("Error: ")


def cli(*arguments: object) -> Done:
    """The command line in this process: `main()` with these arguments."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    before, sys.argv = sys.argv, ["catbuilder", *map(str, arguments)]
    code: object = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as stop:
                code = stop.code
            out.flush()
            err.flush()
    finally:
        sys.argv = before
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return Done(int(code or 0) if not isinstance(code, str) else 1, *texts)


COMMAND = [sys.executable, "-c", "from catbuilder.cli.main import main; main()"]


def process(*arguments: object, **environment: str) -> Done:
    """The command line in a process of its own."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **environment}
    )
    return Done(done.returncode, done.stdout, done.stderr)


# A process inherits the peak of the one that starts it, and pytest's own may be a gigabyte: so a small one starts it.
_MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def peak_of(*arguments: object) -> tuple[Done, float]:
    """The command line in a process of its own, without what it prints, and the peak MiB of it or its largest child."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, *COMMAND, *map(str, arguments)], capture_output=True, text=True
    )
    return Done(done.returncode, "", done.stderr), int(done.stdout) / 1024


def failed(done: Done, *words: str) -> str:
    """The error of a command that was refused: exit code 1, one sentence that holds these words."""
    assert done.code == 1, done
    for word in words:
        assert word in done.error, f"{word!r} is not in: {done.error}"
    return done.error


def write_csv(path: Path, header: Sequence[str], *rows: Iterable[object]) -> Path:
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def galaxy(seed: int, side: int = SIZE) -> np.ndarray:
    """A galaxy of its own on a noisy sky, uint8 (side, side, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    turn = rng.uniform(0, np.pi)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    light = 170 * np.exp(-np.hypot(along, across * rng.uniform(1, 3)) / (0.12 * side))
    sky = rng.normal(20, 3, (side, side, 3))
    return np.clip(light[..., None] * [1.0, 0.8, 0.6] + sky, 0, 255).astype(np.uint8)


def write_images(folder: Path, names: Iterable[str], seed: int = 0) -> Path:
    """PNG or JPEG by the name's ending, each another galaxy."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        Image.fromarray(galaxy(seed + i)).save(folder / name)
    return folder


def ask(workspace: Workspace, text: str, *parameters: object) -> list[tuple]:
    with reading(workspace) as con:
        return con.execute(text, list(parameters)).fetchall()


def add_objects(recording: Recording, survey: str, ids: Sequence[int], **columns: object) -> None:
    """Objects of the pool with a good stamp, without pixels: enough for everything that stays in the catalogue."""
    stamp = {"round": recording.round, "run": recording.run}
    whole = {"split": "pool", "quality": "ok", "shard": f"stamps/{survey}/none.npy"} | columns
    rows = [
        {name: value[i] if isinstance(value, list) else value for name, value in whole.items()}
        | {"survey": survey, "object_id": n, "row": i, "sha256": f"{n:064x}"}
        | {"file": f"{n}.png", "rendering": survey, "width_px": SIZE, "height_px": SIZE}
        | stamp
        for i, n in enumerate(ids)
    ]
    recording.con.register("made", pa.Table.from_pylist(rows))
    known = set(rows[0])
    for table in ("objects", "splits", "stamps"):
        own = [row[0] for row in recording.con.execute(f"DESCRIBE {table}").fetchall() if row[0] in known]
        recording.con.execute(f"INSERT INTO {table} BY NAME SELECT {', '.join(own)} FROM made")
    recording.con.unregister("made")
    for table in ("stamps", "splits"):
        replace_older(recording, table)


def label_event(survey: str, object_id: int, label: str, source: str = "imported", **more: object) -> dict:
    return {"survey": survey, "object_id": object_id, "kind": "label", "label": label, "source": source} | more


def add_events(recording: Recording, *events: Mapping[str, object], round_number: int | None = None) -> None:
    record_events(recording, pa.Table.from_pylist([dict(event) for event in events], schema=EVENTS), round_number)


def close_round(
    workspace: Workspace,
    posteriors: Mapping[tuple[str, int], Sequence[float]],
    events: Sequence[Mapping[str, object]] = (),
    trained_on: Sequence[tuple[str, int, str, str]] = (),
    seed: int = 7,
    recipe: Recipe = RECIPE,
    by_policy: bool = False,
) -> int:
    """Record a whole round of which only the network is missing, by the functions that a real one calls.

    `trained_on` holds (survey, object_id, role, label). What is promoted are the `events`, or what the recipe's policy
    decides.
    """
    classes = workspace.config.classes
    with workspace.recording("round: planned to evaluated") as recording:  # one, since each opens the catalogue anew
        con, number = recording.con, recording.round
        plan = RoundPlan(
            round=number, recipe=recipe, classes=classes, seed=seed, ranks=1, threads=1, training=len(trained_on),
            validation=0, scored=len(posteriors), manifest_sha256="0" * 64, score_manifest_sha256="0" * 64,
        )  # fmt: skip
        con.execute(
            "INSERT INTO rounds VALUES (?, ?, ?, ?, 1, 1, ?, ?, ?)",
            [number, recipe.name, recipe.sha256, seed, "0" * 64, plan.model_dump_json(), recording.run],
        )
        for survey, object_id, role, label in trained_on:
            con.execute(
                "INSERT INTO training VALUES (?, ?, ?, ?, ?, 'imported', ?)",
                [number, survey, object_id, role, label, recording.run],
            )
        record_step(recording, number, "planned", "{}")
        con.execute(
            "INSERT INTO models VALUES (?, ?, ?, 'test_efficientnet', 'none', ?, 3, 2, 0.5, ?, ?, false)",
            [number, f"rounds/{number:03d}/model.safetensors", f"{number:x}" * 64, seed, number, recording.run],
        )
        record_step(recording, number, "trained", "{}")
        shard = write_scores(workspace.round_folder(number) / "scores" / "scores-00000.parquet", classes, posteriors)
        record_calibrator(recording, plan, [shard])
        n = record_scores(recording, plan, [shard], number)
        record_step(recording, number, "scored", json.dumps({"objects": n}))
        if by_policy:
            record_decisions(recording, plan, decide(con, workspace, plan))
        add_events(recording, *({"model": number} | dict(event) for event in events), round_number=number)
        record_step(recording, number, "decided", json.dumps({"promoted": {}, "retracted": 0}))
        record_metrics(recording, evaluate_round(con, number, classes))
        record_metrics(recording, calibration_metrics(con, plan))
        record_step(recording, number, "evaluated", "{}")
    with workspace.recording("round: closed") as recording:
        record_step(recording, number, "closed", "{}")
    return number


def write_scores(path: Path, classes: Sequence[str], posteriors: Mapping[tuple[str, int], Sequence[float]]) -> Path:
    """A score shard as the workers write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns: dict[str, pa.Array] = {
        "survey": pa.array([survey for survey, _ in posteriors], pa.string()),
        "object_id": pa.array([object_id for _, object_id in posteriors], pa.int64()),
    }
    for i, name in enumerate(classes):
        columns[f"p_{name}"] = pa.array([p[i] for p in posteriors.values()], pa.float32())
    pq.write_table(pa.table(columns), path)
    return path


def surveyed(folder: Path) -> Workspace:
    """A workspace with 12 objects, a test set and two closed rounds: a copy of one that is made once for all tests.

    des 1 to 4 are labelled (1 and 2 elliptical by a catalogue, 3 and 4 spiral by people), 5 to 8 the pool, 9 to 11
    test set HP (11 without an image), sdss 5 has the number of another galaxy. Round 1 promotes 5 and 6, round 2
    takes 6 back and promotes 7. It is made once, and copied.
    """
    if not shared():
        return _make_surveyed(folder)
    shutil.copytree(made_once("surveyed", _make_surveyed), folder, dirs_exist_ok=True)
    return Workspace.open(folder)


def _make_surveyed(folder: Path) -> Workspace:
    workspace = create_workspace(folder, stamp_size=SIZE)
    splits = ["train"] * 4 + ["pool"] * 7
    quality = ["ok"] * 10 + ["unreadable"]
    places = [10.0 + n for n in range(11)]
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", range(1, 12), split=splits, quality=quality, ra=places, dec=[-1.0] * 11)
        add_objects(recording, "sdss", [5, 2**53 + 1], mag_r=[17.5, None], name=[None, "J1"])
        add_events(
            recording,
            *(label_event("des", n, "elliptical", confidence=0.9) for n in (1, 2)),
            *(label_event("des", n, "spiral", "human", annotator="edwin") for n in (3, 4)),
        )
        for n, truth in ((9, "elliptical"), (10, "spiral"), (11, "spiral")):
            recording.con.execute(
                "INSERT INTO test_sets VALUES ('HP', 'des', ?, ?, 0.75, ?, ?, NULL)",
                [n, truth, recording.round, recording.run],
            )
    trained_on = [("des", n, "training", "elliptical" if n < 3 else "spiral") for n in range(1, 5)]
    first = {("des", n): (0.95, 0.05) if n % 2 else (0.2, 0.8) for n in range(1, 11)}
    promoted = {"source": "promoted", "reason": "top_k: 1 of the 1 surest"}
    close_round(
        workspace, first,
        [label_event("des", 5, "elliptical", confidence=0.95, **promoted),
         label_event("des", 6, "spiral", confidence=0.8, **promoted)],
        trained_on,
    )  # fmt: skip
    disowned = label_event("des", 6, "spiral", "promoted", reason="round 2 scores it elliptical at 0.6000")
    close_round(
        workspace, first | {("des", 6): (0.6, 0.4)},
        [disowned | {"kind": "retraction", "retracts": 6, "confidence": 0.6},
         label_event("des", 7, "elliptical", confidence=0.95, **promoted)],
        trained_on,
    )  # fmt: skip
    return workspace


def make_older(workspace: Workspace) -> None:
    """Put a catalogue of the first schema, with one object, in the place of the workspace's own."""
    workspace.catalog_file.unlink()
    first = sorted((sql_folder() / "migrations").glob("*.sql"))[0]
    with duckdb.connect(str(workspace.catalog_file)) as con:
        con.execute("CREATE TABLE migrations (version INTEGER, name VARCHAR, catbuilder VARCHAR, applied_at TIMESTAMP)")
        for statement in con.extract_statements(first.read_text()):
            con.execute(statement)
        for name in workspace.config.classes:
            con.execute(f"ALTER TABLE predictions ADD COLUMN p_{name} FLOAT")
        con.execute("INSERT INTO migrations VALUES (1, '0001_catalogue', '0.0', now())")
        con.execute("INSERT INTO objects (survey, object_id, round, run) VALUES ('des', 8, 1, 1)")
