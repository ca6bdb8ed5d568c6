"""Another plan for an unfinished round: the same objects, recipe and seed, on other hosts or by other processes.

What has begun under the old plan is kept where it would have come out the same, to the last bit: with as many ranks
and threads. Else it is begun anew, since a batch is split over the ranks, and every random draw knows its rank.
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


def replan(workspace: Workspace, ranks: int, threads: int, hosts: str, reporter: Reporter) -> None:
    """Record that an unfinished round, if there is one, goes on by other processes; the caller holds its lock."""
    with workspace.reading(wait_s=None) as con:
        unfinished = open_plan(con)
    if unfinished is None:
        return  # a batch script asks always
    old, step = unfinished
    if step not in NEEDS_PROCESSES:
        reporter.say(f"round {old.round} is {step}: what is left of it needs no other processes")
        return
    new = old.replanned(old.number + 1, ranks, threads, hosts)
    if describe_processes(new) == describe_processes(old):
        return
    anew = new.attempts_since == new.number
    if anew:
        _drop_unfinished(workspace, old, step)
    _record(workspace, old, new, step)
    what = {"planned": "training", "trained": "scoring"}[step]
    reporter.say(
        f"round {old.round}: plan {new.number} is {describe_processes(new)}, in place of {describe_processes(old)}; "
        + (f"{what} begins anew" if anew else f"{what} goes on")
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
    """Remove what the old plan has computed of the step under way: nothing of it may get into the new plan's result.

    Killed in the middle of this, the old plan computes it again.
    """
    folder = workspace.round_folder(old.round)
    if step == "planned":
        for member in members_of(workspace, old):
            member.file.unlink(missing_ok=True)
        for checkpoint in folder.glob("attempts/*/checkpoint-*.safetensors"):
            checkpoint.unlink()  # large, and of no more use
    shutil.rmtree(folder / "scores", ignore_errors=True)
