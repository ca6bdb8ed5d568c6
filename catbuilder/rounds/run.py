"""The round: planned -> trained -> scored -> decided -> evaluated -> closed.

Each step leaves whole files, then records itself in one transaction; a step that finds its files there takes
them. So a run that was killed anywhere goes on by the same command, and ends in the same catalogue. The
coordinator (this process) is the only one that opens the catalogue, and only to record; while workers run,
queries go on.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from catbuilder.catalogue.connection import first_row
from catbuilder.catalogue.id_ranges import is_large
from catbuilder.catalogue.round_records import STEPS, RoundPlan, open_plan, read_plan, record_step, score_manifest_file
from catbuilder.catalogue.stamp_check import verify_stamps
from catbuilder.catalogue.status import count_parts, keep_count
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError, RoundError
from catbuilder.core.fault_points import fault_point
from catbuilder.core.files import write_text
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import Recipe
from catbuilder.core.resources import query
from catbuilder.decisions.calibration_set import calibration_metrics, record_calibrator, require_calibration
from catbuilder.decisions.evaluate import evaluate_round, record_metrics
from catbuilder.decisions.promote import decide, record_decisions
from catbuilder.decisions.shift_meters import measure_shift, record_shifts
from catbuilder.rounds.launch.hosts import hosts_text, parse_hosts, ranks_on
from catbuilder.rounds.launch.processes import threads_for
from catbuilder.rounds.launch.ranks import require_horovod
from catbuilder.rounds.planning import check_target, make_plan, threads_of, verify_manifests
from catbuilder.rounds.replan import replan as plan_anew
from catbuilder.rounds.scoring import record_scores, score_manifest_in_shards
from catbuilder.rounds.training import record_models, train_members, whole_models


@dataclass(frozen=True)
class RoundOutcome:
    """What a round did to the catalogue."""

    round: int
    promoted: dict[str, int]  # by class
    retracted: int


def run_rounds(
    workspace: Workspace,
    n: int,
    recipe: Recipe,
    *,
    ranks: int | None = None,
    hosts: str = "",
    replan: bool = False,
    seed: int = 0,
    reporter: Reporter | None = None,
    after_each: Callable[[RoundOutcome], None] | None = None,
) -> list[RoundOutcome]:
    """Run `n` rounds; a round left unfinished is finished first, by its own plan, and counts as one.

    A run that was cut short goes on to the round at which it was to end, and no further: so the same command,
    given again after a kill, ends in the same catalogue. Ends early, with a word and without an error, when a
    round neither promotes nor retracts anything: the next would train on the same objects again.

    Parameters
    ----------
    ranks : processes that train together; by default one, or as many as the hosts have
    hosts : where, as in `node1:4,node2:4`; by default on this machine
    replan : go on with an unfinished round by these processes, instead of those of its own plan
    after_each : called with each outcome once its round is closed

    Raises
    ------
    InputError
        The seed is negative or of more than 63 bits; the hosts cannot be read, or disagree with `ranks`.
    WorkspaceBusy
        Another round is under way in this workspace.
    LaunchError
        More than one rank, and no Horovod; or a host cannot be used.
    HostLost
        A host was cut off or went down; go on when it is back, or on others with `replan`.
    WorkerDied
        A worker ended before its work was done; the same call goes on from there.
    """
    hosts = hosts_text(parse_hosts(hosts))
    ranks = ranks_on(hosts, ranks)
    if not 0 <= seed < 2**63:  # the catalogue's whole numbers have 64 bits, one of them the sign
        raise InputError(f"the seed {seed} cannot be recorded; give a whole number from 0 to {2**63 - 1}")
    reporter = reporter or Reporter()
    outcomes: list[RoundOutcome] = []
    with workspace.round_lock():
        ended = _ended_untold(workspace)
        if ended is not None:
            reporter.say(
                f"the last run had done its rounds, up to round {ended}, and was killed before it could say so; "
                "give the command again for more"
            )
            return _told(workspace, [outcome_of(workspace, ended)], after_each)
        if replan:
            plan_anew(workspace, ranks, threads_of(workspace, ranks, hosts), hosts, reporter)
        until = last_round_to_run(workspace, n, reporter)
        write_text(_run_file(workspace), json.dumps({"until": until}))
        while True:
            plan, step = _open_or_new(workspace, recipe, ranks, hosts, seed, until, reporter)
            outcome = _finish(workspace, plan, step, reporter)
            outcomes.append(outcome)
            if plan.round >= until:
                return _told(workspace, outcomes, after_each)
            if not outcome.promoted and not outcome.retracted:
                reporter.say(f"round {outcome.round} found nothing to promote or retract, so the run ends here")
                return _told(workspace, outcomes, after_each)
            if after_each:
                after_each(outcome)


def abandon_round(workspace: Workspace) -> int:
    """Close the unfinished round with nothing promoted, and return its number.

    For a plan that cannot be carried out, such as one whose weights cannot be had here. Its number is not used again.

    Raises
    ------
    RoundError
        No round is unfinished, or it has promoted already and only needs to be finished.
    """
    with workspace.round_lock(), workspace.recording("round --abandon", wait_s=None) as recording:
        unfinished = open_plan(recording.con)
        if unfinished is None:
            raise RoundError("no round is unfinished; there is nothing to abandon")
        plan, step = unfinished
        if STEPS.index(step) >= STEPS.index("decided"):
            raise RoundError(
                f"round {plan.round} has promoted already; finish it with: catbuilder round --n 1, "
                f"and take its promotions back with: catbuilder rollback --to {plan.round - 1}"
            )
        record_step(recording, plan.round, "closed", json.dumps({"abandoned": True}))
    _run_file(workspace).unlink(missing_ok=True)
    return plan.round


def last_round_to_run(workspace: Workspace, n: int, reporter: Reporter) -> int:
    """Round at which a run of `n` rounds ends; of a run that was cut short, no later than it was to end."""
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
            f"the last run was cut short and was to end with round {last.until}: going on to there; "
            "give the command again for more"
        )
        return last.until
    return until


def _run_file(workspace: Workspace) -> Path:
    """There from the beginning of a run until all its rounds are told of."""
    return workspace.path / "rounds" / "run.json"


def _told(
    workspace: Workspace, outcomes: list[RoundOutcome], after_each: Callable[[RoundOutcome], None] | None
) -> list[RoundOutcome]:
    """Tell of the last round; from then on the same command means more rounds."""
    if after_each:
        after_each(outcomes[-1])
    _run_file(workspace).unlink(missing_ok=True)
    return outcomes


def _ended_untold(workspace: Workspace) -> int | None:
    """The last round of a run that did all its rounds and was killed then: the same command must not do them again."""
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


def _open_or_new(
    workspace: Workspace, recipe: Recipe, ranks: int, hosts: str, seed: int, until: int, reporter: Reporter
) -> tuple[RoundPlan, str]:
    with workspace.reading(wait_s=None) as con:
        unfinished = open_plan(con)
    if unfinished is None:
        check_target(workspace, recipe)
        if ranks > 1:
            require_horovod()
        if recipe.promotion.policy == "certified":
            with workspace.reading(wait_s=None) as con:
                careful = require_calibration(con, recipe, workspace.config.classes)
            if careful:
                reporter.say(careful)
        verify_stamps(workspace, reporter)  # the firewall compares pictures
        return make_plan(workspace, recipe, ranks, seed, reporter, until, hosts), "planned"
    plan, step = unfinished
    reporter.say(f"round {plan.round} was {step} but not closed: going on with it by its own plan")
    differing = plan.recipe.differing_keys(recipe)
    if differing or (plan.ranks, plan.hosts, plan.seed) != (ranks, hosts, seed):
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        other = f" (other than now: {', '.join(differing[:3])}{more})" if differing else ""
        reporter.say(
            f"note: round {plan.round} was planned with recipe {plan.recipe.name}{other}, "
            f"{f'--hosts {plan.hosts}' if plan.hosts else f'--np {plan.ranks}'} and --seed {plan.seed}; "
            "what you ask for now holds from the next round on (processes and hosts at once, with --replan)"
        )
    if not plan.hosts and plan.threads != threads_for(plan.ranks):
        reporter.say(
            f"note: round {plan.round} was planned with {plan.threads} threads a process, and here there would be "
            f"{threads_for(plan.ranks)}: the plan stays, since another number gives other bits, but for --replan; the "
            "next round is planned for this machine"
        )
    return plan, step


def _finish(workspace: Workspace, plan: RoundPlan, step: str, reporter: Reporter) -> RoundOutcome:
    """Do the steps that are missing."""
    if STEPS.index(step) < STEPS.index("decided"):  # then they are of no more use
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
    return outcome_of(workspace, plan.round)


def outcome_of(workspace: Workspace, round_number: int) -> RoundOutcome:
    """What a decided round promoted and retracted."""
    with workspace.reading(wait_s=None) as con:
        read_plan(con, round_number)
        row = first_row(con, "SELECT details FROM steps WHERE round = ? AND step = 'decided'", [round_number])
    if row is None:
        raise RoundError(f"round {round_number} has not decided anything yet; finish it with: catbuilder round")
    return RoundOutcome(round_number, **json.loads(row[0]))


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
    reporter.say(f"round {plan.round}: {n} objects scored")


def _scored_shards(workspace: Workspace, plan: RoundPlan, reporter: Reporter) -> list[Path]:
    """The round's scores and features, whole; what is missing or damaged of them is made, by models that are whole."""
    manifest = score_manifest_file(workspace, plan.round)

    def models() -> list[Path]:
        verify_stamps(workspace, reporter)
        return whole_models(workspace, plan, reporter)

    return score_manifest_in_shards(workspace, plan, manifest, models, reporter, f"round {plan.round}: scoring")


def _decide(workspace: Workspace, plan: RoundPlan, reporter: Reporter) -> None:
    _scored_shards(workspace, plan, reporter)  # its features are read again
    with workspace.reading(wait_s=None) as con:
        shifts = measure_shift(con, workspace, plan)
    with workspace.recording(f"round {plan.round}: decided", wait_s=None) as recording:
        decisions = decide(recording.con, workspace, plan)
        record_decisions(recording, plan, decisions)
        record_shifts(recording, shifts)
        labels = decisions.promotions["label"].to_pylist()
        promoted = {name: labels.count(name) for name in plan.classes if name in labels}
        details = {"promoted": promoted, "retracted": decisions.retractions.num_rows}
        record_step(recording, plan.round, "decided", json.dumps(details))
        fault_point("decide.before_commit")
    fault_point("decide.after_commit")
    unseen = shifts.messages if plan.recipe.promotion.policy == "certified" else ()
    for sentence in [*decisions.messages, *unseen]:
        reporter.say(f"round {plan.round}: {sentence}")
    counts = ", ".join(f"{n} {name}" for name, n in promoted.items()) or "nothing"
    reporter.say(f"round {plan.round}: promoted {counts}; retracted {decisions.retractions.num_rows}")


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
        record_step(recording, plan.round, "closed", "{}")
    with workspace.reading(wait_s=None) as con, reporter.bar(f"round {plan.round}: counting") as update:
        if is_large(con):  # for `status`, which nobody wants to wait for
            keep_count(workspace, recording.run, count_parts(con, update))
