"""Score objects with a round's networks: split the manifest into shards, run processes, collect and record scores.

The processes do not talk to each other, so one that dies is started again alone, and its finished shards are kept.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from catbuilder.catalogue.connection import Connection, first_row, literal_path
from catbuilder.catalogue.id_ranges import sql_literal
from catbuilder.catalogue.latest_round_and_run import last_recording
from catbuilder.catalogue.round_records import RoundPlan, read_plan
from catbuilder.catalogue.stamp_check import verify_stamps
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.core.cluster import connected, current_cluster
from catbuilder.core.errors import NothingToScore, RoundError
from catbuilder.core.files import atomic_move, sha256_file, sync_folder
from catbuilder.core.machine import require_space, usable_cores
from catbuilder.core.progress import Reporter
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.network.jobs import (
    EarlierRound,
    EarlierScoring,
    ScoreJob,
    hashes_file,
    new_attempt,
    parts_folder,
    shard_files,
)
from catbuilder.rounds.launch.processes import Worker, require_cores, run_all, thread_settings, threads_for
from catbuilder.rounds.training import members_of, verified_models
from catbuilder.rounds.worker_logs import objects_scored
from catbuilder.sets.manifest import write_score_manifest

SHARD_OBJECTS = 65_536


@dataclass(frozen=True)
class ScoreReport:
    """Numbers of `score`.

    Attributes
    ----------
    round : int
        Number of the round whose model scored.
    scored : int
        Number of objects scored.
    """

    round: int
    scored: int

    def sentences(self) -> list[str]:
        """Describe the report, one sentence an item."""
        return [f"{counted(self.scored, 'object')} scored by the model of round {self.round}."]


def score_manifest_in_shards(
    workspace: Workspace,
    plan: RoundPlan,
    manifest: Path,
    models: Callable[[], Sequence[Path]],
    reporter: Reporter,
    title: str,
) -> list[Path]:
    """Score every row of a manifest with the round's networks.

    Finished shards of earlier attempts are used, and unfinished ones are continued: the same model and stamps give the
    same bits. A shard whose hash differs from the recorded one is reported and scored again.

    Parameters
    ----------
    models : returns the networks' files, the round's own first; called only if something is left to score
    title : of the progress bar

    Returns
    -------
    list of Path
        The shards, in the folder `scores` beside the manifest and in its order.
    """
    rows = pq.read_metadata(manifest).num_rows
    shards, scores = _shards(rows, plan.ranks), manifest.parent / "scores"
    scores.mkdir(parents=True, exist_ok=True)
    kind = plan.attempts("score")
    _collect(manifest.parent, kind, scores)
    missing = [shard for shard in shards if not _is_whole(scores, shard[0], reporter)]
    if missing:
        files, attempt = models(), new_attempt(manifest.parent, kind)
        earlier = _earlier_rounds(workspace, plan)
        already = rows - sum(end - first for _, first, end in missing)
        _take_over_unfinished(attempt)
        workers = _workers(workspace, plan, manifest, attempt, files, earlier, missing)
        with reporter.bar(title) as update:
            _run(workers, plan, lambda: update(already + objects_scored(attempt), rows))
        _collect(manifest.parent, kind, scores)
    return [shard_files(scores, number)["scores"] for number, _, _ in shards]


def record_scores(recording: Recording, plan: RoundPlan, shards: list[Path], round_number: int) -> int:
    """Append a model's scores to the table `posteriors` and return their number.

    Parameters
    ----------
    shards : files in the order of survey and object_id, like the manifest
    """
    con, scored = recording.con, sum(pq.read_metadata(path).num_rows for path in shards)
    place = {"model": plan.round, "round": round_number, "run": recording.run}
    require_space(shards[0].parent, scored * (8 + 4 * len(plan.classes)), f"{scored:,} scores")
    con.execute(
        query("rounds/record_scores").format(
            calibrated=calibrated_sql(con, plan), replaced=replaced_posteriors(con, plan)
        ),
        {**place, "files": [literal_path(path) for path in shards]},
    )
    con.execute("INSERT INTO scorings BY NAME SELECT $model AS model, $scored AS scored, $round AS round, $run AS run",
                {**place, "scored": scored})  # fmt: skip
    return scored


def calibrated_sql(con: Connection, plan: RoundPlan, recorded: bool = False) -> str:
    """Write the SQL expression of the calibrated confidence of the class of highest posterior; NULL if there is none.

    Parameters
    ----------
    recorded : the columns are those of `posteriors`, which `replaced_posteriors` may have calibrated, and not of shards
    """
    found = _calibrated_posteriors(con, plan)
    if found is None:
        return "CAST(NULL AS FLOAT)"
    if plan.recipe.speaking.calibrate:  # the target survey's only: nobody knows how another survey's lean
        columns = found if recorded else found.values()
        return f"CASE WHEN survey = {sql_literal(plan.recipe.sets.target)} THEN greatest({', '.join(columns)}) END"
    cases = [f"WHEN {column} = greatest({', '.join(found)}) THEN {value}" for column, value in found.items()]
    return f"CASE {' '.join(cases)} END"


def replaced_posteriors(con: Connection, plan: RoundPlan) -> str:
    """Write what follows the star of a SELECT from shards, so that the target survey's posteriors are calibrated."""
    found = _calibrated_posteriors(con, plan) if plan.recipe.speaking.calibrate else None
    if found is None:
        return ""
    target = sql_literal(plan.recipe.sets.target)
    cases = [
        f"CAST(CASE WHEN survey = {target} THEN {value} ELSE {column} END AS FLOAT) AS {column}"
        for column, value in found.items()
    ]
    return f"REPLACE ({', '.join(cases)})"


def _calibrated_posteriors(con: Connection, plan: RoundPlan) -> dict[str, str] | None:
    """Write the SQL of each column of posteriors after calibration: softmax(scale * ln p + shift).

    The calibrator's numbers are written into the expressions: a join with list functions would take longer than the
    rest of the query.
    """
    found = first_row(con, "SELECT scale, shift FROM calibrators WHERE model = ?", [plan.round])
    if found is None:
        return None
    columns = [f"p_{name}" for name in plan.classes]
    logits = [
        f"({scale:.17e} * ln(greatest({column}::DOUBLE, 1e-30)) + {shift:.17e})"
        for column, scale, shift in zip(columns, *found, strict=True)
    ]
    values = [f"(1 / ({' + '.join(f'exp({other} - {logit})' for other in logits)}))" for logit in logits]
    return dict(zip(columns, values, strict=True))


def score(
    workspace: Workspace, round_number: int | None = None, *, cluster: str = "", reporter: Reporter | None = None
) -> ScoreReport:
    """Score objects that a finished model has not scored yet, such as those ingested after its round.

    The scores belong to the next round, so that `catalog_at` of a closed round does not change.

    Parameters
    ----------
    workspace : Workspace
        The workspace whose objects are scored.
    round_number : int, optional
        The round whose model scores; by default the one that speaks.
    cluster : str
        Where the processes run: empty is this machine; for the others see `run_rounds`.
    reporter : Reporter, optional
        Shows progress and warnings; by default nothing is printed.

    Returns
    -------
    ScoreReport
        The round and the number of objects scored.

    Raises
    ------
    RoundError
        There is no such round, or it is not closed.
    NothingToScore
        The model has scored every object with a good stamp.
    WorkspaceBusy
        A round is under way in this workspace.
    InputError, LaunchError
        The address of the cluster is none, or the cluster cannot be reached or has no room.
    HostLost
        Nodes of the cluster were lost again and again; the same call goes on.

    Examples
    --------
    >>> catbuilder.score(workspace).scored
    """
    reporter = reporter or Reporter(quiet=True)
    with workspace.round_lock(), connected(cluster, reporter.say, "leave --cluster out to score on this machine"):
        with workspace.reading() as con:
            plan = _closed_plan(con, round_number)
            later = workspace.round_folder(plan.round) / "later" / f"{last_recording(con) + 1:06d}"
            file = later / "score-manifest.parquet"
            write_score_manifest(con, plan.recipe, file, unscored_by=plan.round)
        here, title = _for_these_machines(plan), f"scoring with the model of round {plan.round}"
        verify_stamps(workspace, reporter)
        shards = score_manifest_in_shards(
            workspace, here, file, lambda: verified_models(workspace, plan), reporter, title
        )
        with workspace.recording(f"score --round {plan.round}", wait_s=None) as recording:
            scored = record_scores(recording, plan, shards, recording.round)
    return ScoreReport(plan.round, scored)


def _for_these_machines(plan: RoundPlan) -> RoundPlan:
    """Return the plan with as many processes and threads as there is room for now."""
    if cluster := current_cluster():
        return plan.model_copy(update={"threads": min(plan.threads, cluster.threads_for(1))})
    ranks = min(plan.ranks, usable_cores())
    return plan.model_copy(update={"ranks": ranks, "threads": threads_for(ranks)})


def _closed_plan(con: Connection, round_number: int | None) -> RoundPlan:
    rows = con.execute(
        "SELECT round FROM round_status WHERE step = 'closed' AND round IN (SELECT model FROM models) "
        "ORDER BY round = speaker_at(), round"
    ).fetchall()
    closed = [number for (number,) in rows]
    if round_number is not None and round_number not in closed:
        read_plan(con, round_number)
        raise RoundError(f"round {round_number} has no finished model; finish the round with: catbuilder round")
    if not closed:
        raise RoundError("there is no finished round with a model; run one with: catbuilder round")
    return read_plan(con, closed[-1] if round_number is None else round_number)


def _shards(rows: int, ranks: int) -> list[tuple[int, int, int]]:
    """Split rows into (number, first row, end row): at least as many shards as ranks, each of SHARD_OBJECTS at most."""
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
    earlier: tuple[EarlierRound, ...],
    shards: list[tuple[int, int, int]],
) -> list[Worker]:
    """Describe the processes: one a rank, or on a cluster one a shard, which any node may take."""
    apart = len(shards) if current_cluster() else min(plan.ranks, len(shards))
    workers, own = [], models[: plan.recipe.members]
    for process in range(apart):
        job = ScoreJob(
            workspace=workspace.path, manifest=manifest, folder=attempt, recipe=plan.recipe, classes=plan.classes,
            seed=plan.seed, round=plan.round, threads=plan.threads, coordinator=os.getpid(), model=own[0],
            others=tuple(own[1:]), earlier=earlier, shards=tuple(shards[process::apart]),
        )  # fmt: skip
        environment = thread_settings(plan.threads)
        if current_cluster() is None:
            environment["HOROVOD_LOCAL_RANK"] = str(process)  # which GPU; on a cluster it has one
        log, job_file = attempt / f"process-{process}.log", job.write(attempt / f"job-{process}.json")
        workers.append(Worker("catbuilder.network.score", job_file, log, environment, job))
    return workers


def _earlier_rounds(workspace: Workspace, plan: RoundPlan) -> tuple[EarlierRound, ...]:
    """List the rounds with which the round's model is averaged, and what their networks have scored in the same way."""
    if not plan.averaged_with:
        return ()
    with workspace.reading(wait_s=None) as con:
        plans = [read_plan(con, number) for number in plan.averaged_with]
    return tuple(
        EarlierRound(
            models=tuple(member.file for member in members_of(workspace, earlier)),
            scorings=tuple(_scorings(workspace, earlier)) if _scores_alike(earlier, plan) else (),
        )
        for earlier in plans
    )


def _scores_alike(plan: RoundPlan, other: RoundPlan) -> bool:
    """Whether a network gives the same posteriors by both plans."""
    by = [
        (one.batch_size, one.symmetries, one.compile, recipe.scores_in_bf16, recipe.training.channels_last)
        for recipe in (plan.recipe, other.recipe)
        for one in (recipe.scoring,)
    ]
    return by[0] == by[1]


def _scorings(workspace: Workspace, plan: RoundPlan) -> Iterator[EarlierScoring]:
    """List the undamaged posteriors of a round's own networks, by the round itself and by later calls of `score`."""
    kind, folder = "own" if plan.averaged_with else "scores", workspace.round_folder(plan.round)
    for place in (folder, *sorted(folder.glob("later/*"))):
        whole = [hashes for hashes in sorted(place.glob("scores/hashes-*.json")) if not damaged_files(hashes)]
        shards = [shard_files(one.parent, int(one.stem.removeprefix("hashes-")))[kind] for one in whole]
        shards = [shard for shard in shards if shard.exists()]  # there are none of `own` from older versions
        manifest = place / "score-manifest.parquet"
        if shards and manifest.exists():
            yield EarlierScoring(manifest=manifest, shards=tuple(shards))


def _run(workers: Sequence[Worker], plan: RoundPlan, watch: Callable[[], None]) -> None:
    if cluster := current_cluster():
        from catbuilder.rounds.launch.cluster import run_apart

        run_apart(cluster, workers, plan.threads, watch, restarts=2)
    else:
        require_cores(len(workers))
        run_all(workers, watch, restarts=2)


def _collect(folder: Path, kind: str, scores: Path) -> None:
    """Move finished shards of all attempts of this plan to `scores`, the file of hashes last; the first one wins."""
    for hashes in sorted(folder.glob(f"attempts/{kind}-*/hashes-*.json")):
        number = int(hashes.stem.removeprefix("hashes-"))
        if not hashes_file(scores, number).exists():
            for found in shard_files(hashes.parent, number).values():
                if found.exists():  # else it was moved before a kill
                    atomic_move(found, scores / found.name)
            atomic_move(hashes, hashes_file(scores, number))


def _take_over_unfinished(attempt: Path) -> None:
    """Move unfinished shards of earlier attempts to this one; the processes of those ended with their coordinator."""
    parts = parts_folder(attempt)
    parts.mkdir()
    for found in sorted(attempt.parent.glob(f"{attempt.name.rpartition('-')[0]}-*/parts/*.parquet")):
        os.replace(found, parts / found.name)
    sync_folder(parts)


def _is_whole(scores: Path, number: int, reporter: Reporter) -> bool:
    """Check that a shard is there as it was written; remove a damaged one, since it can be scored again."""
    hashes = hashes_file(scores, number)
    if not hashes.exists():
        return False
    damaged = damaged_files(hashes)
    if not damaged:
        return True
    reporter.say(f"warning: {damaged[0]} is missing or damaged; scoring its objects again")
    for file in (hashes, *shard_files(scores, number).values()):
        file.unlink(missing_ok=True)
    return False


def damaged_files(hashes: Path) -> list[Path]:
    """List the files of a shard whose hashes differ; the file of hashes itself if it cannot be read."""
    try:
        expected = json.loads(hashes.read_text(encoding="utf-8"))
        files = shard_files(hashes.parent, int(hashes.stem.removeprefix("hashes-")))
        return [
            files[kind] for kind in expected if not files[kind].exists() or sha256_file(files[kind]) != expected[kind]
        ]
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        return [hashes]
