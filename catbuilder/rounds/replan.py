"""Move an unfinished round to another number of processes or threads; objects, recipe and seed stay.

Unfinished work of the old plan is kept if the result would be the same to the last bit, which needs the same numbers
of ranks and threads. Otherwise it starts again, since a batch is split over the ranks and each random stream depends on
its rank.
"""

import json
import os
import shutil

from catbuilder.catalogue.round_records import RoundPlan, describe_processes, open_plan
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.files import write_text
from catbuilder.core.progress import Reporter
from catbuilder.rounds.training import members_of

NEEDS_PROCESSES = ("planned", "trained")  # steps after which something is left to compute


def replan(workspace: Workspace, ranks: int, threads: int, reporter: Reporter) -> None:
    """Record that the unfinished round, if any, continues with other processes; the caller holds the round lock."""
    with workspace.reading(wait_s=None) as con:
        unfinished = open_plan(con)
    if unfinished is None:
        return  # a batch script gives --replan every time
    old, step = unfinished
    if step not in NEEDS_PROCESSES:
        reporter.say(f"round {old.round} is {step}: what is left of it runs in this process, so --replan has no effect")
        return
    new = old.replanned(old.number + 1, ranks, threads)
    if describe_processes(new) == describe_processes(old):
        return
    restarts = new.attempts_since == new.number
    if restarts:
        _drop_unfinished(workspace, old, step)
    _record(workspace, old, new, step)
    work = {"planned": "training", "trained": "scoring"}[step]
    reporter.say(
        f"round {old.round}: plan {new.number} has {describe_processes(new)}, instead of {describe_processes(old)}; "
        f"{work} {'starts again' if restarts else 'continues'}"
    )


def _record(workspace: Workspace, old: RoundPlan, new: RoundPlan, step: str) -> None:
    with workspace.recording(f"round {new.round}: planned anew after {step}", wait_s=None) as recording:
        recording.con.execute(
            "INSERT INTO replans VALUES (?, ?, ?, ?, ?, ?, ?)",
            [new.round, new.number, new.ranks, new.threads, new.hosts, step, recording.run],
        )
        recording.note.update(round=new.round, plan=new.number)
    folder = workspace.round_folder(new.round)
    os.replace(folder / "plan.json", folder / f"plan-{old.number}.json")
    write_text(folder / "plan.json", json.dumps(json.loads(new.model_dump_json()), indent=1))


def _drop_unfinished(workspace: Workspace, old: RoundPlan, step: str) -> None:
    """Remove the old plan's work of the unfinished step, so that none of it gets into the new plan's result.

    If this is killed halfway, the old plan stands and computes the step again.
    """
    folder = workspace.round_folder(old.round)
    if step == "planned":
        for member in members_of(workspace, old):
            member.file.unlink(missing_ok=True)
        for checkpoint in folder.glob("attempts/*/checkpoint-*.safetensors"):
            checkpoint.unlink()  # large, and no longer needed
    shutil.rmtree(folder / "scores", ignore_errors=True)
