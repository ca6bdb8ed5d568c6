"""What a round costs the coordinator at the size of a survey: everything but the networks.

Two catalogues are made, of --objects and of three tenths of it, as `catalogue.py` makes them, with 5,000 test and 5,000
calibration galaxies and 20,000 labelled ones among the objects, whatever their number, and one closed round. The
next round is then taken through its steps by catbuilder's own code, each in a process of its own whose seconds and peak
memory are told: planning (firewall, what trains, both manifests), recording of scores that are already there, decisions
by certificates and by rank, measures, the end. At last `why` is asked, right after the sweep. From the two sizes
seconds and memory are extrapolated to 300 million objects by a straight line, so far as they grow. DuckDB is kept to
little memory (--memory) and writes the rest to disk, so that what grows beyond is what is not in its hands.

Not in it: hashes of stamps (2 GB/s and core, every command), pictures of objects without a position, networks.

    python scripts/bench/survey_round.py [--objects 3000000] [--folder DIR] [--memory 4GB]

Exits with 1 where a step would take more than 6 GiB for 300 million objects, planning more than two minutes, or where
`why` takes longer than 0.5 s.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import catalogue
from catalogue import WHOLE, begin_round, close_round, furnish, ids_of, plan_of, spent_by, write_scores, write_source
from pydantic import ByteSize, TypeAdapter

from catbuilder.core.recipe import Recipe

MEMORY_GIB, PLAN_S, WHY_S = 6.0, 120.0, 0.5
PROCESS_GIB = 0.3  # of a process beside DuckDB's memory: Python, its packages, threads
TESTS, CALIBRATION, LABELLED = 5_000, 5_000, 20_000
CERTIFIED = ("promotion.policy=certified", "certificate.alpha=0.05", "certificate.quota=none")
TEACHING = ("teaching.source=pool", "teaching.images=100000")


def recipe(*settings: str) -> Recipe:
    from catbuilder.core.recipe import load_recipe

    return load_recipe("paper", list(settings))


def give_sets(workspace_path: Path, shards: Path, objects: int) -> None:
    """Make some objects test galaxies, calibration galaxies and labelled ones, evenly over the survey."""
    from catbuilder.catalogue.workspace import Workspace

    apart = objects // (TESTS + CALIBRATION + LABELLED)
    number = f"((object_id - {ids_of(0, 1)[0]}) // 7)"
    among = f"(SELECT survey, object_id, {number} // {apart} AS place FROM objects WHERE {number} % {apart} = 0)"
    some = {
        "HP": f"(SELECT * FROM {among} WHERE place % 6 = 0)",
        "calibration": f"(SELECT * FROM {among} WHERE place % 6 = 1)",
        "train": f"(SELECT * FROM {among} WHERE place % 6 > 1)",
    }
    # the class to which the next round's model leans, but for one in fifty: as certificates hope for
    scores = f"read_parquet('{shards}/*.parquet') AS p USING (survey, object_id)"
    label = "CASE WHEN (p_elliptical > 0.5) <> (place // 6 % 50 = 0) THEN 'elliptical' ELSE 'spiral' END"
    with Workspace.open(workspace_path).recording("sets") as recording:
        con, stamp = recording.con, {"round": recording.round, "run": recording.run}
        for split in ("calibration", "train"):
            con.execute(
                f"UPDATE splits SET split = '{split}' WHERE object_id IN (SELECT object_id FROM ({some[split]}))"
            )
        con.execute(f"INSERT INTO test_sets BY NAME SELECT 'HP' AS test_set, survey, object_id, {label} AS truth, "
                    f"$round AS round, $run AS run FROM {some['HP']} JOIN {scores}", stamp)  # fmt: skip
        con.execute(
            f"INSERT INTO labels BY NAME SELECT row_number() OVER () AS event, survey, object_id, 'label' AS kind, "
            f"{label} AS label, 'imported' AS source, $round AS round, $run AS run "
            f"FROM (FROM {some['calibration']} UNION ALL FROM {some['train']}) JOIN {scores}", stamp)  # fmt: skip


def first_round(workspace_path: Path, shards: Path, objects: int) -> None:
    """Close a round whose scores are there."""
    begin_round(workspace_path, 1, objects)
    catalogue.scores(workspace_path, shards, objects)
    catalogue.promotion(workspace_path, shards, objects)
    close_round(workspace_path, shards, objects)


def plan(workspace_path: Path, _: Path, __: int) -> None:
    """The step `planned`, with manifests and firewall."""
    from catbuilder.catalogue.workspace import Workspace
    from catbuilder.core.progress import Reporter
    from catbuilder.rounds.planning import make_plan

    print(make_plan(Workspace.open(workspace_path), recipe(*CERTIFIED), 1, 0, Reporter()).scored, file=sys.stderr)


def teaching(workspace_path: Path, _: Path, __: int) -> None:
    """What a round that the pool teaches chooses, without recording it."""
    from catbuilder.catalogue.workspace import Workspace
    from catbuilder.sets.training_manifest import choose_training

    workspace = Workspace.open(workspace_path)
    with workspace.reading() as con:
        print(choose_training(workspace, con, 2, recipe(*TEACHING), 1), file=sys.stderr)


def scored(workspace_path: Path, shards: Path, objects: int) -> None:
    """The step `scored`: the calibrator is fitted, the scores are recorded."""
    from catbuilder.catalogue.round_records import read_plan, record_step
    from catbuilder.catalogue.workspace import Workspace
    from catbuilder.decisions.calibration_set import record_calibrator
    from catbuilder.rounds.scoring import record_scores

    files = sorted(shards.glob("*.parquet"))
    with Workspace.open(workspace_path).recording("round 2: scored") as recording:
        planned = read_plan(recording.con, 2)
        recording.con.execute("INSERT INTO models (model, file, round, run) VALUES (2, '', 2, ?)", [recording.run])
        record_calibrator(recording, planned, files)
        record_scores(recording, planned, files, 2)
        record_step(recording, 2, "scored", json.dumps({"objects": objects}))


def certified(workspace_path: Path, _: Path, __: int) -> None:
    """What a round would decide by certificates, without recording it."""
    from catbuilder.catalogue.round_records import read_plan
    from catbuilder.catalogue.workspace import Workspace
    from catbuilder.decisions.promote import decide

    workspace = Workspace.open(workspace_path)
    with workspace.reading() as con:
        decisions = decide(con, workspace, read_plan(con, 2))
    print(*decisions.messages, f"{decisions.promoted} promoted", file=sys.stderr)


def decided(workspace_path: Path, _: Path, objects: int) -> None:
    """The step `decided`, by rank."""
    from catbuilder.catalogue.round_records import record_step
    from catbuilder.catalogue.workspace import Workspace
    from catbuilder.decisions.promote import decide, record_decisions

    workspace = Workspace.open(workspace_path)
    with workspace.recording("round 2: decided") as recording:
        decisions = decide(recording.con, workspace, plan_of(2, objects))
        record_decisions(recording, plan_of(2, objects), decisions)
        record_step(recording, 2, "decided", json.dumps({"promoted": {}, "retracted": 0}))


def evaluated(workspace_path: Path, _: Path, __: int) -> None:
    """The step `evaluated`: test sets and calibration."""
    from catbuilder.catalogue.round_records import read_plan, record_step
    from catbuilder.catalogue.workspace import Workspace
    from catbuilder.decisions.calibration_set import calibration_metrics
    from catbuilder.decisions.evaluate import evaluate_round, record_metrics

    with Workspace.open(workspace_path).recording("round 2: evaluated") as recording:
        planned = read_plan(recording.con, 2)
        metrics = evaluate_round(recording.con, 2, planned.classes)
        record_metrics(recording, metrics)
        record_metrics(recording, calibration_metrics(recording.con, planned))
        record_step(recording, 2, "evaluated", json.dumps({"metrics": metrics.num_rows}))


def closed(workspace_path: Path, _: Path, __: int) -> None:
    """The step `closed`: doubtful objects are queued, all are counted."""
    from catbuilder.active_learning.select_objects import queue_questions
    from catbuilder.catalogue.round_records import read_plan, record_step
    from catbuilder.catalogue.status import count_parts, keep_count
    from catbuilder.catalogue.workspace import Workspace

    workspace = Workspace.open(workspace_path)
    with workspace.recording("round 2: closed") as recording:
        queue_questions(recording, read_plan(recording.con, 2))
        record_step(recording, 2, "closed", "{}")
    with workspace.reading() as con:
        keep_count(workspace, recording.run, count_parts(con))


Step = Callable[[Path, Path, int], None]
MADE: dict[str, Step] = {"ingest": catalogue.ingest, "furnish": furnish, "sets": give_sets, "first": first_round}
STEPS: dict[str, Step] = {
    "planned": plan, "taught by the pool": teaching, "scored": scored, "certified": certified,
    "decided by rank": decided, "evaluated": evaluated, "closed": closed,
}  # fmt: skip
Spent = dict[str, dict[str, float]]


def run(folder: Path, objects: int) -> Spent:
    """Make a catalogue, and take its second round through its steps."""
    from catbuilder.catalogue.new_workspace import create_workspace

    workspace, spent = folder / "survey", {}

    def step(name: str, file: Path) -> dict[str, float]:
        return spent_by([sys.executable, __file__, "--work", name, "--folder", str(workspace), "--file", str(file),
                         "--objects", str(objects)])  # fmt: skip

    create_workspace(workspace)
    write_source(folder / "des", objects)
    for number in (1, 2):
        write_scores(folder / "shards" / str(number), number, objects)
    for name, file in zip(MADE, ("des", "-", "shards/2", "shards/1"), strict=True):
        step(name, folder / file)
    for name in STEPS:
        spent[name] = step(name, folder / "shards" / "2")
        print(f"{objects:,}: {name} {spent[name]}", file=sys.stderr, flush=True)
    asked = [str(Path(sys.executable).with_name("catbuilder")), "-w", str(workspace), "why"]
    spent["why, right after"] = spent_by([*asked, str(ids_of(objects // 3, objects // 3 + 1)[0])])
    return spent


def at_whole(small: float, large: float, sizes: tuple[int, int]) -> float:
    """Extrapolate a number along the straight line through both sizes; it does not fall."""
    return large + max(large - small, 0.0) / (sizes[1] - sizes[0]) * (WHOLE - sizes[1])


def memory_at_whole(small: float, large: float, sizes: tuple[int, int], limit: float) -> float:
    """Extrapolate GiB: DuckDB's memory grows to its limit and no further, the rest along the line."""
    granted = limit + PROCESS_GIB
    return granted + at_whole(max(small - granted, 0.0), max(large - granted, 0.0), sizes)


def tell(small: Spent, large: Spent, sizes: tuple[int, int], limit: str) -> bool:
    """Print the table; whether every bar is kept."""
    kept, granted = True, TypeAdapter(ByteSize).validate_python(limit) / 2**30
    print(f"{'':22}{f'{sizes[0]:,} objects':>24}{f'{sizes[1]:,} objects':>24}{f'{WHOLE:,}, extrapolated':>30}")
    for name in large:
        constant = name.startswith("why")
        one, two = small[name], large[name]
        seconds = two["seconds"] if constant else at_whole(one["seconds"], two["seconds"], sizes)
        gib = two["gib"] if constant else memory_at_whole(one["gib"], two["gib"], sizes, granted)
        most = {"planned": PLAN_S, "why, right after": WHY_S}.get(name)
        missed = gib > MEMORY_GIB or (most is not None and seconds > most)
        kept &= not missed
        cells = [f"{one[name]['seconds']:.2f} s {one[name]['gib']:.2f} GiB" for one in (small, large)]
        print(
            f"{name:22}{cells[0]:>24}{cells[1]:>24}{f'{seconds:.1f} s {gib:.2f} GiB':>30}{'  MISSED' if missed else ''}"
        )
    print(
        f"assumed: seconds, and memory beyond the {limit} that DuckDB is granted and {PROCESS_GIB} GiB of the process, "
        "grow along the line through both sizes; objects lie as densely as here, so that as many are near each test "
        "galaxy"
    )
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--objects", type=int, default=3_000_000)
    parser.add_argument("--folder", type=Path, help="where the catalogues are made, and removed again")
    parser.add_argument("--memory", default="500MB", help="of DuckDB; a process takes some more")
    parser.add_argument("--work", choices=[*MADE, *STEPS], help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        (MADE | STEPS)[given.work](given.folder, given.file, given.objects)
        return 0
    os.environ["CATBUILDER_MEMORY_LIMIT"] = given.memory
    sizes, spent = (3 * given.objects // 10, given.objects), []
    for objects in sizes:
        with tempfile.TemporaryDirectory(dir=given.folder) as name:
            spent.append(run(Path(name), objects))
    return 0 if tell(spent[0], spent[1], sizes, given.memory) else 1


if __name__ == "__main__":
    sys.exit(main())
