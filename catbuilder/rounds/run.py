"""Run rounds: plan, train, score, decide, evaluate, close. An interrupted round continues where it stopped.

Each step first writes complete files, then records itself in one transaction. A step whose files are already there
uses them. So a run that was killed at any point continues with the same command and ends in the same catalogue. Only
the coordinator (this process) opens the catalogue, and only to record; while its workers run, others can query.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from catbuilder.active_learning.select_objects import queue_questions
from catbuilder.catalogue.connection import first_row
from catbuilder.catalogue.id_ranges import is_large
from catbuilder.catalogue.round_records import STEPS, RoundPlan, open_plan, read_plan, record_step, score_manifest_file
from catbuilder.catalogue.stamp_check import verify_stamps
from catbuilder.catalogue.status import count_parts, keep_count
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.cluster import FEWER, connected, current_cluster
from catbuilder.core.errors import InputError, RoundError
from catbuilder.core.files import write_text
from catbuilder.core.kill_points import fault_point
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import Recipe
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.decisions.calibration_set import calibration_metrics, record_calibrator
from catbuilder.decisions.evaluate import evaluate_round, record_metrics
from catbuilder.decisions.promote import decide, record_decisions
from catbuilder.decisions.shift_meters import measure_shift, record_shifts
from catbuilder.rounds.launch.processes import threads_for
from catbuilder.rounds.planning import plan_next_round, threads_per_rank, verify_manifests
from catbuilder.rounds.replan import replan as change_processes
from catbuilder.rounds.scoring import record_scores, score_manifest_in_shards
from catbuilder.rounds.training import record_models, train_members, verified_models


@dataclass(frozen=True)
class RoundOutcome:
    """What a round changed in the catalogue.

    Attributes
    ----------
    round : int
        Number of the round.
    promoted : dict[str, int]
        Number of promoted objects by class.
    retracted : int
        Number of promotions that the round took back.
    refused : str
        Why the round's model does not speak, so that an earlier one's predictions stand in the catalogue; else empty.
    """

    round: int
    promoted: dict[str, int]
    retracted: int
    refused: str = ""


@dataclass(frozen=True)
class AbandonReport:
    """The round that `abandon_round` closed.

    Attributes
    ----------
    round : int
        Number of the round.
    """

    round: int

    def sentences(self) -> list[str]:
        """Describe the report, one sentence an item."""
        return [f"Round {self.round} is abandoned: it is closed with nothing promoted."]


def run_rounds(
    workspace: Workspace,
    n: int = 1,
    recipe: Recipe | str | Path | None = None,
    *,
    ranks: int = 1,
    cluster: str = "",
    replan: bool = False,
    seed: int = 0,
    reporter: Reporter | None = None,
    after_each: Callable[[RoundOutcome], None] | None = None,
) -> list[RoundOutcome]:
    """Run `n` rounds: train, score, promote and measure. An unfinished round is finished first and counts as one.

    An unfinished round continues by its own plan. After an interruption the same call runs the rounds that are left of
    the interrupted run, and no more: so it ends in the same catalogue. The run ends early, without an error, when a
    round neither promotes nor retracts anything and no model teaches: the next round would train on the same objects
    again. With `speaking.model = "mean"` it goes on, since another network of the same objects steadies the mean.

    Parameters
    ----------
    workspace : Workspace
        The workspace whose catalogue is extended.
    n : int
        Number of rounds, 1 or more.
    recipe : Recipe, str or Path, optional
        A recipe, the name of a shipped one (`"real"`), or the path of a TOML file. By default the recipe that
        `catbuilder.toml` names.
    ranks : int
        Number of processes that train together.
    cluster : str
        Where the processes run: empty is this machine; else a Ray cluster, `"auto"` (that of this machine), `"local"`
        (a new one of this machine alone), `"ray://HOST:PORT"` or `"HOST:PORT"`. The result is the same.
    replan : bool
        Continue an unfinished round with these `ranks`, and threads for these machines, instead of those of its plan.
    seed : int
        Seed of all random streams, from 0 to 2**63 - 1.
    reporter : Reporter, optional
        Shows progress and warnings; by default nothing is printed.
    after_each : callable, optional
        Called with each `RoundOutcome` once its round is closed.

    Returns
    -------
    list of RoundOutcome
        One for each round, in order.

    Raises
    ------
    ConfigError
        There is no such recipe, a key in it is wrong, or it labels a survey that the workspace does not have.
    InputError
        `n` is below 1; the seed is out of range; the address of the cluster is none.
    NothingToTrain
        No labelled object with a usable stamp is left for training or validation.
    WorkspaceBusy
        Another round is under way in this workspace.
    LaunchError
        More than one rank, and Horovod is not installed; or the cluster cannot be reached or has no room.
    HostLost
        A node of the cluster was lost; continue when it is back, or with fewer `ranks` by `replan`.
    WorkerDied
        A worker ended before its work was done; the same call continues from there.

    Examples
    --------
    >>> outcomes = catbuilder.run_rounds(workspace, 3, "real", ranks=2, seed=1)
    >>> [outcome.promoted for outcome in outcomes]
    """
    chosen = workspace.recipe(recipe)
    if n < 1:
        raise InputError(f"{n} rounds cannot be run; give 1 or more")
    if ranks < 1:
        raise InputError(f"{ranks} processes cannot train; give 1 or more")
    if not 0 <= seed < 2**63:  # DuckDB's BIGINT has 64 bits, one of them the sign
        raise InputError(f"the seed {seed} cannot be recorded; give a whole number from 0 to {2**63 - 1}")
    reporter = reporter or Reporter(quiet=True)
    outcomes: list[RoundOutcome] = []
    with workspace.round_lock(), connected(cluster, reporter.say, FEWER):
        ended = _last_round_of_ended_run(workspace)
        if ended is not None:
            reporter.say(
                f"the last run finished its rounds, up to round {ended}, but was killed before it could report them; "
                "give the command again to run more"
            )
            return _end_run(workspace, [read_outcome(workspace, ended)], after_each)
        if replan:
            change_processes(workspace, ranks, threads_per_rank(ranks), reporter)
        until = last_round_to_run(workspace, n, reporter)
        write_text(_run_file(workspace), json.dumps({"until": until}))
        while True:
            plan, step = _unfinished_or_next(workspace, chosen, ranks, seed, until, reporter)
            outcome = _finish(workspace, plan, step, reporter)
            outcomes.append(outcome)
            if plan.round >= until:
                return _end_run(workspace, outcomes, after_each)
            if not outcome.promoted and not outcome.retracted and not _goes_on(plan):
                reporter.say(f"round {outcome.round} found nothing to promote or retract, so the run ends here")
                return _end_run(workspace, outcomes, after_each)
            if after_each:
                after_each(outcome)


def _goes_on(plan: RoundPlan) -> bool:
    """Whether a further round differs from one that promoted and retracted nothing."""
    recipe = plan.recipe
    return recipe.teaching is not None or recipe.speaking.model == "mean"


def abandon_round(workspace: Workspace) -> AbandonReport:
    """Close the unfinished round with nothing promoted.

    Use it for a plan that cannot be carried out, such as one whose starting weights cannot be downloaded here. The
    round's number is not used again. Its model, if it has scored already, neither speaks nor teaches, and belongs to no
    later mean of models.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.

    Returns
    -------
    AbandonReport
        The number of the round that was closed.

    Raises
    ------
    RoundError
        No round is unfinished, or it has promoted already and only needs to be finished.

    Examples
    --------
    >>> catbuilder.abandon_round(workspace).round
    """
    with workspace.round_lock(), workspace.recording("round --abandon", wait_s=None) as recording:
        unfinished = open_plan(recording.con)
        if unfinished is None:
            raise RoundError("no round is unfinished; there is nothing to abandon")
        plan, step = unfinished
        if STEPS.index(step) >= STEPS.index("decided"):
            raise RoundError(
                f"round {plan.round} has promoted already; finish it with: catbuilder round --n 1, "
                f"then take back its promotions with: catbuilder rollback --to {plan.round - 1}"
            )
        if STEPS.index(step) >= STEPS.index("scored"):
            reason = "its round was abandoned before anything was decided by it"
            recording.con.execute(
                "INSERT INTO refusals BY NAME SELECT ? AS model, ? AS reason, ? AS round, ? AS run",
                [plan.round, reason, plan.round, recording.run],
            )
        record_step(recording, plan.round, "closed", json.dumps({"abandoned": True}))
    _run_file(workspace).unlink(missing_ok=True)
    return AbandonReport(plan.round)


def read_outcome(workspace: Workspace, round_number: int) -> RoundOutcome:
    """Read what a round promoted and retracted.

    Raises
    ------
    RoundError
        There is no such round, or it has not decided yet.
    """
    with workspace.reading(wait_s=None) as con:
        read_plan(con, round_number)
        row = first_row(con, "SELECT details FROM steps WHERE round = ? AND step = 'decided'", [round_number])
    if row is None:
        raise RoundError(f"round {round_number} has not decided anything yet; finish it with: catbuilder round")
    return RoundOutcome(round_number, **json.loads(row[0]))


def last_round_to_run(workspace: Workspace, n: int, reporter: Reporter) -> int:
    """Compute the number of the round with which a run of `n` rounds ends.

    A run that continues an interrupted one ends no later than that was to end.
    """
    with workspace.reading(wait_s=None) as con:
        row = first_row(con, query("rounds/last_round"))
        last = read_plan(con, row[0]) if row else None
    if row is None or last is None:
        return n
    _, step, found_nothing = row
    first = last.round if step != "closed" else last.round + 1
    until = first + n - 1
    if first <= last.until < until and not found_nothing:
        reporter.say(
            f"the last run was interrupted and was to end with round {last.until}: continuing to there; "
            "give the command again to run more"
        )
        return last.until
    return until


def _run_file(workspace: Workspace) -> Path:
    """File that exists from the beginning of a run until all its rounds are reported."""
    return workspace.path / "rounds" / "run.json"


def _end_run(
    workspace: Workspace, outcomes: list[RoundOutcome], after_each: Callable[[RoundOutcome], None] | None
) -> list[RoundOutcome]:
    """Report the last round; from then on the same command runs more rounds."""
    if after_each:
        after_each(outcomes[-1])
    _run_file(workspace).unlink(missing_ok=True)
    return outcomes


def _last_round_of_ended_run(workspace: Workspace) -> int | None:
    """Number of the last round of a run that was killed after its last round but before it reported it.

    The same command must not run these rounds again.
    """
    if not _run_file(workspace).exists():
        return None
    with workspace.reading(wait_s=None) as con:
        row = first_row(con, query("rounds/last_round"))
    try:
        until = json.loads(_run_file(workspace).read_text(encoding="utf-8"))["until"]
    except (ValueError, KeyError, TypeError):  # damaged: nothing is known of that run
        return None
    if row is None:
        return None
    number, step, found_nothing = row
    return number if step == "closed" and (number >= until or found_nothing) else None


def _unfinished_or_next(
    workspace: Workspace, recipe: Recipe, ranks: int, seed: int, until: int, reporter: Reporter
) -> tuple[RoundPlan, str]:
    """Return the plan and last step of the unfinished round; plan the next round if there is none."""
    with workspace.reading(wait_s=None) as con:
        unfinished = open_plan(con)
    if unfinished is None:
        return plan_next_round(workspace, recipe, ranks, seed, reporter, until), "planned"
    plan, step = unfinished
    reporter.say(f"round {plan.round} was {step} but not closed: continuing by its own plan")
    _report_differences(plan, recipe, ranks, seed, reporter)
    return plan, step


def _report_differences(plan: RoundPlan, recipe: Recipe, ranks: int, seed: int, reporter: Reporter) -> None:
    """Say where the plan of an unfinished round differs from the settings given now."""
    differing = plan.recipe.differing_keys(recipe)
    if differing or (plan.ranks, plan.seed) != (ranks, seed):
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        keys = f" (differs now: {', '.join(differing[:3])}{more})" if differing else ""
        reporter.say(
            f"note: round {plan.round} was planned with recipe {plan.recipe.name}{keys}, "
            f"--np {plan.ranks} and --seed {plan.seed}; "
            "your settings apply from the next round on (the number of processes at once, with --replan)"
        )
    if current_cluster() is None and plan.threads != threads_for(plan.ranks):
        reporter.say(
            f"note: round {plan.round} was planned with {plan.threads} threads a process, and this machine would give "
            f"{threads_for(plan.ranks)}; the plan is kept unless you give --replan, since another number of threads "
            "changes the result in the last bits; the next round is planned for this machine"
        )


def _finish(workspace: Workspace, plan: RoundPlan, step: str, reporter: Reporter) -> RoundOutcome:
    """Do the steps that are missing."""
    if STEPS.index(step) < STEPS.index("decided"):  # later steps do not read the manifests
        verify_manifests(workspace, plan, reporter)
    actions = {
        "trained": _train,
        "scored": _score,
        "decided": _decide,
        "evaluated": _evaluate,
        "closed": _close,
    }
    for name in STEPS[STEPS.index(step) + 1 :]:
        actions[name](workspace, plan, reporter)
    return read_outcome(workspace, plan.round)


def _train(workspace: Workspace, plan: RoundPlan, reporter: Reporter) -> None:
    verify_stamps(workspace, reporter)
    trained = train_members(workspace, plan, reporter)
    fault_point("train.before_commit")
    with workspace.recording(f"round {plan.round}: trained", wait_s=None) as recording:
        record_models(recording, workspace, plan, trained)
        record_step(recording, plan.round, "trained", json.dumps({"sha256": trained[0].sha256}))
    fault_point("train.after_commit")


def _score(workspace: Workspace, plan: RoundPlan, reporter: Reporter) -> None:
    shards = _scored_shards(workspace, plan, reporter)
    fault_point("score.before_commit")
    with workspace.recording(f"round {plan.round}: scored", wait_s=None) as recording:
        record_calibrator(recording, plan, shards)
        n = record_scores(recording, plan, shards, plan.round)
        record_step(recording, plan.round, "scored", json.dumps({"objects": n}))
    reporter.say(f"round {plan.round}: {counted(n, 'object')} scored")


def _scored_shards(workspace: Workspace, plan: RoundPlan, reporter: Reporter) -> list[Path]:
    """Files of the round's scores and features; missing or damaged shards are scored again with verified models."""
    manifest = score_manifest_file(workspace, plan.round)

    def models() -> list[Path]:
        verify_stamps(workspace, reporter)
        return verified_models(workspace, plan, reporter)

    return score_manifest_in_shards(workspace, plan, manifest, models, reporter, f"round {plan.round}: scoring")


def _decide(workspace: Workspace, plan: RoundPlan, reporter: Reporter) -> None:
    _scored_shards(workspace, plan, reporter)  # their features are read below
    with workspace.reading(wait_s=None) as con:
        shifts = measure_shift(con, workspace, plan)
    with workspace.recording(f"round {plan.round}: decided", wait_s=None) as recording:
        decisions = decide(recording.con, workspace, plan)
        record_decisions(recording, plan, decisions)
        record_shifts(recording, shifts)
        promoted = {name: decisions.promoted[name] for name in plan.classes if name in decisions.promoted}
        details = {"promoted": promoted, "retracted": decisions.retracted}
        if decisions.refusal:
            details["refused"] = decisions.refusal
        record_step(recording, plan.round, "decided", json.dumps(details))
        fault_point("decide.before_commit")
    fault_point("decide.after_commit")
    if decisions.refusal:
        reporter.say(
            f"warning: the model of round {plan.round} does not speak: {decisions.refusal}; its scores are kept, and "
            "the predictions of the model before it still stand"
        )
    unseen = shifts.messages if plan.recipe.promotion.policy == "certified" else ()
    for sentence in [*decisions.messages, *unseen]:
        reporter.say(f"round {plan.round}: {sentence}")
    counts = ", ".join(f"{n} {name}" for name, n in promoted.items()) or "nothing"
    reporter.say(f"round {plan.round}: promoted {counts}; retracted {decisions.retracted}")


def _evaluate(workspace: Workspace, plan: RoundPlan, reporter: Reporter) -> None:
    with workspace.recording(f"round {plan.round}: evaluated", wait_s=None) as recording:
        metrics = evaluate_round(recording.con, plan.round, plan.classes)
        record_metrics(recording, metrics)
        record_metrics(recording, calibration_metrics(recording.con, plan))
        record_step(recording, plan.round, "evaluated", json.dumps({"metrics": metrics.num_rows}))
        fault_point("evaluate.before_commit")
    fault_point("evaluate.after_commit")


def _close(workspace: Workspace, plan: RoundPlan, reporter: Reporter) -> None:
    with workspace.recording(f"round {plan.round}: closed", wait_s=None) as recording:
        asked = queue_questions(recording, plan)
        record_step(recording, plan.round, "closed", "{}")
        large = is_large(recording.con)
    if asked:
        reporter.say(
            f"round {plan.round}: {counted(asked, 'doubtful object')} to ask people about: "
            f"catbuilder select --strategy {plan.recipe.asking.strategy}, or catbuilder serve"
        )
    if large:  # so that `status` answers at once
        with workspace.reading(wait_s=None) as con, reporter.bar(f"round {plan.round}: counting") as update:
            keep_count(workspace, recording.run, count_parts(con, update))
