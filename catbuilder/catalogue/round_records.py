"""Read the plans and states of rounds, and record their steps; without importing torch."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from catbuilder.catalogue.connection import Connection, first_row
from catbuilder.catalogue.latest_round_and_run import last_round
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.core.errors import RoundError
from catbuilder.core.recipe import Recipe
from catbuilder.core.version import __version__


def require_round(con: Connection, round_number: int) -> None:
    """Raise RoundError, whose message lists the rounds, unless there is a round of that number."""
    if first_row(con, "SELECT 1 FROM rounds WHERE round = ?", [round_number]) is None:
        last = last_round(con)
        known = f"the rounds are 1 to {last}" if last else "no round has been run yet: run one with: catbuilder round"
        raise RoundError(f"there is no round {round_number}; {known}")


STEPS = ("planned", "trained", "scored", "decided", "evaluated", "closed")


class RoundPlan(BaseModel):
    """Everything that decides what a round does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    round: int
    recipe: Recipe
    classes: tuple[str, ...]
    seed: int
    until: int = 0  # last round of the `catbuilder round --n` that it belongs to
    ranks: int
    threads: int  # of each rank
    hosts: str = ""  # of plans that named them, such as node1:4,node2:4; now a plan may run anywhere
    number: int = 1  # of this plan among the plans of the round
    attempts_since: int = 1  # number of the first plan whose unfinished work this plan can resume
    training: int  # objects in the manifest, by role
    teaching: int = 0
    validation: int
    scored: int
    teacher: int | None = None  # the model whose predictions teach; None if the recipe has no teaching, or no model yet
    in_place_of: int = 0  # images of the pool in whose place labelled ones train again: the control of an experiment
    averaged_with: tuple[int, ...] = ()  # earlier rounds whose networks belong to this round's model too
    manifest_sha256: str
    score_manifest_sha256: str
    catbuilder: str = __version__

    def replanned(self, number: int, ranks: int, threads: int, hosts: str = "") -> "RoundPlan":
        """Make the plan for other processes, with the same objects, recipe and seed."""
        same = (ranks, threads) == (self.ranks, self.threads)
        update = {"ranks": ranks, "threads": threads, "hosts": hosts, "number": number,
                  "attempts_since": self.attempts_since if same else number}  # fmt: skip
        return self.model_copy(update=update)

    def attempts(self, kind: str) -> str:
        """Name the folders of this plan's attempts.

        Those of another plan are never read: a node that was cut off may still be writing there.
        """
        return kind if self.attempts_since == 1 else f"plan-{self.attempts_since}-{kind}"


def describe_processes(plan: RoundPlan) -> str:
    """Say in words how many processes a plan has, and of how many threads."""
    many, threads = "es" if plan.ranks > 1 else "", "s" if plan.threads > 1 else ""
    return f"{plan.ranks} process{many} of {plan.threads} thread{threads}"


def open_plan(con: Connection) -> tuple[RoundPlan, str] | None:
    """Read the plan and the last step of the unfinished round; None if there is none."""
    row = first_row(con, "SELECT round, step FROM round_status WHERE step <> 'closed' ORDER BY round LIMIT 1")
    return None if row is None else (read_plan(con, row[0]), row[1])


def read_plan(con: Connection, round_number: int) -> RoundPlan:
    """Read the plan of a round; the last one, if it was planned again.

    Raises
    ------
    RoundError
        There is no such round.
    """
    require_round(con, round_number)
    ((plan,),) = con.execute("SELECT plan FROM rounds WHERE round = ?", [round_number]).fetchall()
    found = RoundPlan.model_validate_json(plan)
    text = "SELECT number, ranks, threads, hosts FROM replans WHERE round = ? ORDER BY number"
    for replan in con.execute(text, [round_number]).fetchall():
        found = found.replanned(*replan)
    return found


def training_manifest_file(workspace: Workspace, round_number: int) -> Path:
    """Give the Parquet file of the training and validation objects."""
    return workspace.round_folder(round_number) / "manifest.parquet"


def score_manifest_file(workspace: Workspace, round_number: int) -> Path:
    """Give the Parquet file of the objects to be scored."""
    return workspace.round_folder(round_number) / "score-manifest.parquet"


def record_step(recording: Recording, round_number: int, step: str, details: str) -> None:
    """Record that a step is done, in the transaction that records its results."""
    recording.con.execute("INSERT INTO steps VALUES (?, ?, ?, ?, now())", [round_number, step, details, recording.run])
    recording.note.update(round=round_number, step=step)


NOW = 2**31 - 1  # as `at_round` of a macro such as `catalog_at`: the catalogue as it is now (`now_round()` in SQL)


def require_closed(con: Connection, round_number: int) -> None:
    """Raise RoundError unless the round exists and is closed: a closed round never changes."""
    require_round(con, round_number)
    if not first_row(con, "SELECT 1 FROM round_status WHERE round = ? AND step = 'closed'", [round_number]):
        raise RoundError(f"round {round_number} is not closed yet; finish it with: catbuilder round")
