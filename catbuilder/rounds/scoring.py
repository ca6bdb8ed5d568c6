"""The coordinator's side of scoring: shards handed to independent processes, collected, recorded.

No collective runs here, so a process that dies is started again alone, and what it had finished counts.
"""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from catbuilder.catalogue.connection import Connection, first_row
from catbuilder.catalogue.last_numbers import last_recording
from catbuilder.catalogue.round_records import RoundPlan, read_plan
from catbuilder.catalogue.stamp_check import verify_stamps
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.core.errors import NothingToScore, RoundError
from catbuilder.core.files import atomic_move, sha256_file, sync_folder
from catbuilder.core.machine import require_space
from catbuilder.core.progress import Reporter
from catbuilder.core.resources import query
from catbuilder.network.jobs import ScoreJob, hashes_file, new_attempt, parts_folder, shard_files
from catbuilder.rounds.launch.hosts import parse_hosts, places
from catbuilder.rounds.launch.processes import Worker, thread_settings, threads_for
from catbuilder.rounds.launch.remote import run_everywhere
from catbuilder.rounds.training import whole_models
from catbuilder.rounds.worker_logs import objects_scored
from catbuilder.sets.manifest import score_manifest, write_manifest

SHARD_OBJECTS = 65_536


def score_manifest_in_shards(
    workspace: Workspace,
    plan: RoundPlan,
    manifest: Path,
    models: Callable[[], Sequence[Path]],
    reporter: Reporter,
    called: str,
) -> list[Path]:
    """Score every row of a manifest with the round's networks; returns the shards in `scores` beside it, in its order.

    Whole shards that earlier attempts left are taken as they are, and parts are gone on from: the same model and
    stamps give the same bits. A shard that is not what was written, by its hash, is named and scored again.

    Parameters
    ----------
    models : gives the networks' files; asked only where something is to be scored
    """
    rows = pq.read_metadata(manifest).num_rows
    shards, place = _shards(rows, plan.ranks), manifest.parent / "scores"
    place.mkdir(parents=True, exist_ok=True)
    kind = plan.attempts("score")
    _collect(manifest.parent, kind, place)
    missing = [shard for shard in shards if not _is_whole(place, shard[0], reporter)]
    if missing:
        files, attempt = models(), new_attempt(manifest.parent, kind)
        already = rows - sum(end - first for _, first, end in missing)
        _hand_on_parts(attempt)
        workers = _workers(workspace, plan, manifest, attempt, files, missing)
        with reporter.bar(called) as update:
            run_everywhere(attempt, workers, lambda: update(already + objects_scored(attempt), rows), restarts=2)
        _collect(manifest.parent, kind, place)
    return [shard_files(place, number)["scores"] for number, _, _ in shards]


def record_scores(recording: Recording, plan: RoundPlan, shards: list[Path], round_number: int) -> int:
    """Append a model's scores to `posteriors` and return their number.

    Parameters
    ----------
    shards : in the order of survey and object_id, as the manifest has them
    """
    con, scored = recording.con, sum(pq.read_metadata(path).num_rows for path in shards)
    place = {"model": plan.round, "round": round_number, "run": recording.run}
    require_space(shards[0].parent, scored * (8 + 4 * len(plan.classes)), f"{scored:,} scores")
    con.execute(
        query("rounds/record_scores").format(calibrated=_calibrated(con, plan)),
        {**place, "files": [str(path) for path in shards]},
    )
    con.execute("INSERT INTO scorings BY NAME SELECT $model AS model, $scored AS scored, $round AS round, $run AS run",
                {**place, "scored": scored})  # fmt: skip
    return scored


def _calibrated(con: Connection, plan: RoundPlan) -> str:
    """SQL of the calibrated confidence of the class of highest posterior: softmax(scale * ln p + shift).

    The calibrator's numbers stand in it as they are: a join and list functions would take longer than all the rest.
    """
    found = first_row(con, "SELECT scale, shift FROM calibrators WHERE model = ?", [plan.round])
    if found is None:
        return "CAST(NULL AS FLOAT)"
    columns = [f"p_{name}" for name in plan.classes]
    logits = [
        f"({scale:.17e} * ln(greatest({column}::DOUBLE, 1e-30)) + {shift:.17e})"
        for column, scale, shift in zip(columns, *found, strict=True)
    ]
    cases = [
        f"WHEN {column} = greatest({', '.join(columns)}) "
        f"THEN 1 / ({' + '.join(f'exp({other} - {logit})' for other in logits)})"
        for column, logit in zip(columns, logits, strict=True)
    ]
    return f"CASE {' '.join(cases)} END"


def score_later(workspace: Workspace, round_number: int | None = None, reporter: Reporter | None = None) -> int:
    """Score objects that a finished model has not seen yet, by default the latest model; returns their number.

    The scores belong to the next round, so that `catalog_at` of a closed round does not change.

    Raises
    ------
    RoundError
        No such round, or it is not closed.
    NothingToScore
        The model has scored every object with a good stamp.
    """
    reporter = reporter or Reporter()
    with workspace.round_lock():
        with workspace.reading() as con:
            plan = _closed_plan(con, round_number)
            manifest = score_manifest(con, plan.recipe, unscored_by=plan.round)
            run = last_recording(con) + 1
        file = workspace.round_folder(plan.round) / "later" / f"{run:06d}" / "score-manifest.parquet"
        write_manifest(manifest, file)
        here, called = _on_this_machine(plan), f"scoring with the model of round {plan.round}"
        verify_stamps(workspace, reporter)
        shards = score_manifest_in_shards(
            workspace, here, file, lambda: whole_models(workspace, plan), reporter, called
        )
        with workspace.recording(f"score --round {plan.round}", wait_s=None) as recording:
            return record_scores(recording, plan, shards, recording.round)


def _on_this_machine(plan: RoundPlan) -> RoundPlan:
    """The plan without its hosts, which may long be somebody else's: as many processes as the first of them had."""
    ranks = parse_hosts(plan.hosts)[0].slots if plan.hosts else plan.ranks
    return plan.model_copy(update={"ranks": ranks, "threads": threads_for(ranks), "hosts": ""})


def _closed_plan(con: Connection, round_number: int | None) -> RoundPlan:
    rows = con.execute(
        "SELECT round FROM round_status WHERE step = 'closed' AND round IN (SELECT model FROM models) ORDER BY round"
    ).fetchall()
    closed = [number for (number,) in rows]
    if round_number is not None and round_number not in closed:
        read_plan(con, round_number)
        raise RoundError(f"round {round_number} has no finished model; finish it with: catbuilder round")
    if not closed:
        raise RoundError("there is no finished round whose model could score; run one with: catbuilder round")
    return read_plan(con, closed[-1] if round_number is None else round_number)


def _shards(rows: int, ranks: int) -> list[tuple[int, int, int]]:
    """(number, first row, end row): as many as ranks at least, none larger than SHARD_OBJECTS."""
    if rows == 0:
        raise NothingToScore("the manifest is empty; ingest images first")
    size = min(SHARD_OBJECTS, -(-rows // ranks))
    return [(n, first, min(first + size, rows)) for n, first in enumerate(range(0, rows, size))]


def _workers(
    workspace: Workspace,
    plan: RoundPlan,
    manifest: Path,
    attempt: Path,
    models: Sequence[Path],
    shards: list[tuple[int, int, int]],
) -> list[Worker]:
    workers = []
    where = places(plan.hosts, plan.ranks)
    for process, (host, local_rank) in enumerate(where[: len(shards)]):
        job = ScoreJob(
            workspace=workspace.path, manifest=manifest, folder=attempt, recipe=plan.recipe, classes=plan.classes,
            seed=plan.seed, round=plan.round, threads=plan.threads, coordinator=os.getpid(), model=models[0],
            others=tuple(models[1:]), shards=tuple(shards[process :: plan.ranks]),
        )  # fmt: skip
        environment = {**thread_settings(plan.threads), "HOROVOD_LOCAL_RANK": str(local_rank)}
        log = attempt / f"process-{process}.log"
        job_file = job.write(attempt / f"job-{process}.json")
        workers.append(Worker("catbuilder.network.score", job_file, log, environment, host))
    return workers


def _collect(folder: Path, kind: str, place: Path) -> None:
    """Move whole shards of all attempts of this plan to their place, their hashes last; the first of equals stays."""
    for hashes in sorted(folder.glob(f"attempts/{kind}-*/hashes-*.json")):
        number = int(hashes.stem.removeprefix("hashes-"))
        if not hashes_file(place, number).exists():
            for found in shard_files(hashes.parent, number).values():
                if found.exists():  # else it was moved before a kill
                    atomic_move(found, place / found.name)
            atomic_move(hashes, hashes_file(place, number))


def _hand_on_parts(attempt: Path) -> None:
    """Move the parts that earlier attempts left to this one; their processes ended with their coordinator."""
    place = parts_folder(attempt)
    place.mkdir()
    for found in sorted(attempt.parent.glob(f"{attempt.name.rpartition('-')[0]}-*/parts/*.parquet")):
        os.replace(found, place / found.name)
    sync_folder(place)


def _is_whole(place: Path, number: int, reporter: Reporter) -> bool:
    """Whether a shard is there as it was written; what is left of a damaged one is removed, since it can be re-made."""
    hashes = hashes_file(place, number)
    if not hashes.exists():
        return False
    damaged = damaged_files(hashes)
    if not damaged:
        return True
    reporter.say(f"careful: {damaged[0]} is missing or damaged; scoring its objects again")
    for file in (hashes, *shard_files(place, number).values()):
        file.unlink(missing_ok=True)
    return False


def damaged_files(hashes: Path) -> list[Path]:
    """Files of a shard that are not what its hashes say, and the hashes themselves where they cannot be read."""
    try:
        expected = json.loads(hashes.read_text(encoding="utf-8"))
        files = shard_files(hashes.parent, int(hashes.stem.removeprefix("hashes-")))
        return [
            files[kind] for kind in expected if not files[kind].exists() or sha256_file(files[kind]) != expected[kind]
        ]
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        return [hashes]
