"""The plan of a round: fixed before anything runs, reused on resume, kept in the catalogue and beside it."""

from pathlib import Path

import pyarrow as pa

from catbuilder.catalogue.last_numbers import last_round
from catbuilder.catalogue.round_records import (
    RoundPlan,
    describe_processes,
    record_step,
    score_manifest_file,
    training_manifest_file,
)
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.core.errors import CatalogueDamaged, ConfigError, LaunchError
from catbuilder.core.files import atomic_move, quarantine, sha256_file, write_text
from catbuilder.core.machine import has_gpu, usable_cores
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import Recipe
from catbuilder.core.resources import query
from catbuilder.rounds.choose_precision import settle_precision
from catbuilder.rounds.launch.hosts import parse_hosts
from catbuilder.rounds.launch.processes import threads_for
from catbuilder.rounds.launch.remote import threads_on
from catbuilder.sets.firewall import FirewallReport, update_firewall
from catbuilder.sets.manifest import score_manifest, training_manifest, write_manifest
from catbuilder.sets.rendering_bias import rendering_warnings

_MOST_PER_CORE = 4  # processes; 64 on two cores filled 24 GiB before the first step of a training
_WANTS_GPU_PX = 200  # stamps of this size and larger train for hours on a few cores


def threads_of(workspace: Workspace, ranks: int, hosts: str) -> int:
    """Threads a rank; raises LaunchError where a host cannot be used, or this machine is too small for the ranks."""
    if hosts:
        return threads_on(workspace.path, parse_hosts(hosts))
    cores = usable_cores()
    if ranks > _MOST_PER_CORE * cores:
        raise LaunchError(
            f"{ranks} processes are too many for {cores} cores ({_MOST_PER_CORE * cores} at most): they would wait for "
            f"each other and fill the memory; give --np {cores}, or other machines by --hosts"
        )
    return threads_for(ranks)


def make_plan(
    workspace: Workspace, recipe: Recipe, ranks: int, seed: int, reporter: Reporter, until: int = 0, hosts: str = ""
) -> RoundPlan:
    """Plan the next round: firewall, manifests, then one transaction that records it all.

    Parameters
    ----------
    until : the last round of the run that this one belongs to
    hosts : where, as in `node1:4,node2:4`; their processes are as many as `ranks`
    """
    threads = threads_of(workspace, ranks, hosts)
    processes = (ranks, threads, hosts)
    recipe, answer = settle_precision(recipe, len(workspace.config.classes), threads, workspace.path)
    if answer:
        reporter.say(f"precision on this machine: {answer}")
    while True:
        reporter.say("firewall: comparing everything with the test sets")
        firewall = update_firewall(workspace, recipe.firewall.radius_arcsec)
        plan = _try_plan(workspace, recipe, processes, seed, until, firewall.run)
        if plan is not None:
            _tell(workspace, plan, firewall, reporter)
            return plan
        reporter.say("the catalogue has changed meanwhile; planning again")


def verify_manifests(workspace: Workspace, plan: RoundPlan, reporter: Reporter) -> None:
    """Make sure that the manifests are those that were planned; one that is not is made again, if it can be.

    Raises
    ------
    CatalogueDamaged
        What the catalogue gives now is another manifest.
    """
    place = training_manifest_file(workspace, plan.round)
    if not place.is_file() or sha256_file(place) != plan.manifest_sha256:
        with workspace.reading(wait_s=None) as con:
            table = training_manifest(workspace, con, plan.round, plan.recipe)
        _put_back(place, table, plan.manifest_sha256, plan, reporter)
    place = score_manifest_file(workspace, plan.round)
    if not place.is_file() or sha256_file(place) != plan.score_manifest_sha256:
        with workspace.reading(wait_s=None) as con:
            table = score_manifest(con, plan.recipe)
        _put_back(place, table, plan.score_manifest_sha256, plan, reporter)


def _put_back(place: Path, table: pa.Table, sha256: str, plan: RoundPlan, reporter: Reporter) -> None:
    """Write a manifest again, if it is the one that was planned."""
    draft = place.with_name("again.parquet")
    write_manifest(table, draft)
    if sha256_file(draft) != sha256:
        draft.unlink()
        raise CatalogueDamaged(
            f"{place} is missing or not the one planned for round {plan.round}, and the catalogue has changed since; "
            "put it back from a backup, or give the round up with: catbuilder round --abandon"
        )
    kept = f" and is kept as {quarantine(place).name}" if place.exists() else ""
    atomic_move(draft, place)
    reporter.say(f"careful: {place} was missing or damaged{kept}; it is made again from the catalogue")


def _try_plan(
    workspace: Workspace, recipe: Recipe, processes: tuple[int, int, str], seed: int, until: int, seen_run: int
) -> RoundPlan | None:
    """Make the files and record the plan; None if someone recorded something since the firewall looked."""
    with workspace.reading() as con:
        number = last_round(con) + 1
        training = training_manifest(workspace, con, number, recipe)
        scoring = score_manifest(con, recipe)
    _set_aside(workspace.round_folder(number))
    write_manifest(training, training_manifest_file(workspace, number))
    write_manifest(scoring, score_manifest_file(workspace, number))
    roles = training["role"].to_pylist()
    ranks, threads, hosts = processes
    plan = RoundPlan(
        round=number, recipe=recipe, classes=workspace.config.classes, seed=seed, until=until, ranks=ranks,
        threads=threads, hosts=hosts, training=roles.count("training"), validation=roles.count("validation"),
        scored=scoring.num_rows,
        manifest_sha256=sha256_file(training_manifest_file(workspace, number)),
        score_manifest_sha256=sha256_file(score_manifest_file(workspace, number)),
    )  # fmt: skip
    write_text(workspace.round_folder(number) / "plan.json", plan.model_dump_json(indent=1))
    try:
        with workspace.recording(f"round {number}: planned", wait_s=None) as recording:
            if recording.run != seen_run + 1:
                raise _Overtaken
            _record_plan(recording, plan, training)
    except _Overtaken:
        return None
    return plan


def _set_aside(folder: Path) -> None:
    """Move away what a lost round of that number has left, as after restoring an older catalogue: it is not ours."""
    if any(folder.glob("attempts/*")) or any(folder.glob("*.safetensors")) or any(folder.glob("scores/*")):
        place = next(p for n in range(1, 10_000) if not (p := folder.with_name(f"{folder.name}.lost-{n}")).exists())
        folder.rename(place)


class _Overtaken(Exception):
    """Somebody recorded something between the firewall's look and the plan."""


def _record_plan(recording: Recording, plan: RoundPlan, training: pa.Table) -> None:
    con = recording.con
    con.execute(
        "INSERT INTO rounds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [plan.round, plan.recipe.name, plan.recipe.sha256, plan.seed, plan.ranks, plan.threads,
         plan.manifest_sha256, plan.model_dump_json(), recording.run],
    )  # fmt: skip
    con.register("incoming", training)
    con.execute(query("rounds/record_training"), {"round": plan.round, "run": recording.run})
    record_step(recording, plan.round, "planned", "{}")


def _tell(workspace: Workspace, plan: RoundPlan, firewall: FirewallReport, reporter: Reporter) -> None:
    for sentence in firewall.sentences():
        reporter.say(f"firewall: {sentence}")
    reporter.say(
        f"round {plan.round}: recipe {plan.recipe.name}, seed {plan.seed}, {describe_processes(plan)}; "
        f"{plan.training} to train on, {plan.validation} for validation, {plan.scored} to score"
    )
    width = plan.recipe.network.image_size
    if not plan.hosts and not has_gpu() and width >= _WANTS_GPU_PX:
        reporter.say(
            f"careful: no GPU is seen here, and recipe {plan.recipe.name} trains on {width} px, which wants one; for "
            "recipe real, made for a few cores: Ctrl-C, catbuilder round --abandon, catbuilder round --recipe real"
        )
    if plan.validation == 0:
        reporter.say("there is no validation object: training runs through all its epochs")
    with workspace.reading(wait_s=None) as con:
        for warning in rendering_warnings(con, plan.round).values():
            reporter.say(f"careful: {warning}")


def check_target(workspace: Workspace, recipe: Recipe) -> None:
    """Refuse a recipe that labels another survey: nothing would be calibrated, and nobody would be told."""
    target, known = recipe.sets.target, list(workspace.config.surveys)
    if target not in known:
        raise ConfigError(
            f"the recipe labels the survey '{target}' and this workspace has {', '.join(known)}; say which is to be "
            f"labelled: catbuilder round --set sets.target={known[0] if known else 'SURVEY'}"
        )
