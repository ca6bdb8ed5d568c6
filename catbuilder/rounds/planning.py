"""Plan a round: fix its recipe, seed, training objects and objects to score before anything runs.

The plan is kept in the catalogue and beside it, and a round that was interrupted continues by its own plan.
"""

from pathlib import Path

from catbuilder.catalogue.connection import Connection, literal_path
from catbuilder.catalogue.latest_round_and_run import last_round
from catbuilder.catalogue.read_then_record import recording_directly_after, retry_when_overtaken
from catbuilder.catalogue.round_records import (
    RoundPlan,
    describe_processes,
    read_plan,
    record_step,
    score_manifest_file,
    training_manifest_file,
)
from catbuilder.catalogue.stamp_check import verify_stamps
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.core.cluster import current_cluster
from catbuilder.core.errors import CatalogueDamaged, ConfigError
from catbuilder.core.files import atomic_move, quarantine, sha256_file, write_text
from catbuilder.core.machine import has_gpu
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import Recipe
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.decisions.calibration_set import require_calibration
from catbuilder.rounds.choose_precision import choose_precision
from catbuilder.rounds.launch.processes import require_cores, threads_for
from catbuilder.rounds.launch.ranks import require_horovod
from catbuilder.sets.firewall import FirewallReport, update_firewall
from catbuilder.sets.manifest import write_score_manifest
from catbuilder.sets.rendering_bias import rendering_warnings
from catbuilder.sets.training_manifest import choose_training, taught_images, write_training_manifest

_WANTS_GPU_PX = 200  # networks that see this many pixels or more train for hours on a few cores


def plan_next_round(
    workspace: Workspace, recipe: Recipe, ranks: int, seed: int, reporter: Reporter, until: int = 0
) -> RoundPlan:
    """Check that a round can be run with these settings, then plan it with `make_plan`, which has the parameters.

    Raises
    ------
    ConfigError
        The recipe labels a survey that the workspace does not have.
    LaunchError
        More than one rank, and Horovod is not installed; or there is no room for so many.
    NothingToCertify
        The recipe promotes by certificates, and there are no calibration objects to count errors with.
    CatalogueDamaged
        A stamp file is missing or damaged.
    """
    _require_target(workspace, recipe)
    if ranks > 1:
        require_horovod()
    if recipe.promotion.policy == "certified":
        with workspace.reading(wait_s=None) as con:
            warning = require_calibration(con, recipe, workspace.config.classes)
        if warning:
            reporter.say(warning)
    verify_stamps(workspace, reporter)  # the firewall compares pictures
    return make_plan(workspace, recipe, ranks, seed, reporter, until)


def make_plan(
    workspace: Workspace, recipe: Recipe, ranks: int, seed: int, reporter: Reporter, until: int = 0
) -> RoundPlan:
    """Plan the next round: update the firewall, write the manifests, then record everything in one transaction.

    Parameters
    ----------
    until : the last round of the run that this round belongs to
    """
    threads = threads_per_rank(ranks)
    recipe, comparison = choose_precision(recipe, len(workspace.config.classes), threads, workspace.path)
    if comparison:
        reporter.say(f"precision on this machine: {comparison}")

    def attempt() -> tuple[RoundPlan, FirewallReport]:
        reporter.say("firewall: comparing all objects with the test sets")
        firewall = update_firewall(workspace, recipe.firewall.radius_arcsec)
        return _plan_after(workspace, firewall.run, recipe, (ranks, threads), seed, until), firewall

    # A round may run overnight: it waits as long as others record.
    plan, firewall = retry_when_overtaken(workspace, attempt, tries=None)
    _report_firewall(firewall, reporter)
    _report_plan(workspace, plan, reporter)
    return plan


def threads_per_rank(ranks: int) -> int:
    """Compute the threads of each rank: usable cores divided by ranks, of this machine or of a cluster's nodes.

    Raises
    ------
    LaunchError
        There are too few cores for the ranks.
    """
    if cluster := current_cluster():
        return cluster.threads_for(ranks)
    require_cores(ranks)
    return threads_for(ranks)


def verify_manifests(workspace: Workspace, plan: RoundPlan, reporter: Reporter) -> None:
    """Check that the manifests are the planned ones; rebuild a missing or damaged one from the catalogue.

    Raises
    ------
    CatalogueDamaged
        The catalogue has changed, so the planned manifest cannot be rebuilt.
    """
    file = training_manifest_file(workspace, plan.round)
    if not file.is_file() or sha256_file(file) != plan.manifest_sha256:
        with workspace.reading(wait_s=None) as con:
            choose_training(workspace, con, plan.round, plan.recipe, plan.teacher)
            write_training_manifest(con, _draft(file))
        _put_back(file, plan.manifest_sha256, plan, reporter)
    file = score_manifest_file(workspace, plan.round)
    if not file.is_file() or sha256_file(file) != plan.score_manifest_sha256:
        with workspace.reading(wait_s=None) as con:
            write_score_manifest(con, plan.recipe, _draft(file))
        _put_back(file, plan.score_manifest_sha256, plan, reporter)


def _draft(file: Path) -> Path:
    return file.with_name("again.parquet")


def _put_back(file: Path, sha256: str, plan: RoundPlan, reporter: Reporter) -> None:
    """Put a manifest that was written again in its place, if it is the planned one."""
    draft = _draft(file)
    if sha256_file(draft) != sha256:
        draft.unlink()
        raise CatalogueDamaged(
            f"{file} is missing or not the one planned for round {plan.round}, and the catalogue has changed since; "
            "put it back from a backup, or give up the round with: catbuilder round --abandon"
        )
    kept = f" (the damaged file is kept as {quarantine(file).name})" if file.exists() else ""
    atomic_move(draft, file)
    reporter.say(f"warning: {file} was missing or damaged{kept}; it was rebuilt from the catalogue")


def _plan_after(
    workspace: Workspace, run: int, recipe: Recipe, processes: tuple[int, int], seed: int, until: int
) -> RoundPlan:
    """Write the manifests and record the plan; raises `Overtaken` if recording `run` is no longer the last."""
    with workspace.reading() as con:
        number = last_round(con) + 1
        speaker = _standing_speaker(con)
        teacher = speaker if recipe.teaching is not None else None
        roles = choose_training(workspace, con, number, recipe, teacher)
        averaged = _averaged_with(con, recipe, speaker)
        control = recipe.teaching is not None and recipe.teaching.source == "labelled"
        in_place_of = (
            taught_images(con, number, recipe, teacher, len(workspace.config.classes)).num_rows if control else 0
        )
        _rename_lost_round(workspace.round_folder(number))
        write_training_manifest(con, training_manifest_file(workspace, number))
        scored = write_score_manifest(con, recipe, score_manifest_file(workspace, number))
    ranks, threads = processes
    plan = RoundPlan(
        round=number, recipe=recipe, classes=workspace.config.classes, seed=seed, until=until, ranks=ranks,
        threads=threads, training=roles["training"], teaching=roles["teaching"],
        validation=roles["validation"], scored=scored, teacher=teacher, averaged_with=averaged,
        in_place_of=in_place_of,
        manifest_sha256=sha256_file(training_manifest_file(workspace, number)),
        score_manifest_sha256=sha256_file(score_manifest_file(workspace, number)),
    )  # fmt: skip
    write_text(workspace.round_folder(number) / "plan.json", plan.model_dump_json(indent=1))
    with recording_directly_after(workspace, run, f"round {number}: planned", wait_s=None) as recording:
        _record_plan(recording, workspace, plan)
    return plan


def _standing_speaker(con: Connection) -> int | None:
    """Find the last round whose model was let speak, apart from rounds that a rollback has undone."""
    (model,) = con.execute("SELECT max(model) FROM standing_speakers()").fetchall()[0]
    return model


def _averaged_with(con: Connection, recipe: Recipe, speaker: int | None) -> tuple[int, ...]:
    """List the rounds whose networks the new round's model has besides its own: those of the model that speaks."""
    if recipe.speaking.model == "round" or speaker is None or recipe.speaking.rounds == 1:
        return ()
    earlier = (*read_plan(con, speaker).averaged_with, speaker)
    return earlier[-(recipe.speaking.rounds - 1) :]


def _rename_lost_round(folder: Path) -> None:
    """Rename a folder with the work of another round of this number, as left after an older catalogue was restored."""
    if any(folder.glob("attempts/*")) or any(folder.glob("*.safetensors")) or any(folder.glob("scores/*")):
        lost = next(p for n in range(1, 10_000) if not (p := folder.with_name(f"{folder.name}.lost-{n}")).exists())
        folder.rename(lost)


def _record_plan(recording: Recording, workspace: Workspace, plan: RoundPlan) -> None:
    con = recording.con
    con.execute(
        "INSERT INTO rounds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [plan.round, plan.recipe.name, plan.recipe.sha256, plan.seed, plan.ranks, plan.threads,
         plan.manifest_sha256, plan.model_dump_json(), recording.run],
    )  # fmt: skip
    manifest = literal_path(training_manifest_file(workspace, plan.round))
    con.execute(query("rounds/record_training"), {"round": plan.round, "run": recording.run, "manifest": manifest})
    record_step(recording, plan.round, "planned", "{}")


def _report_firewall(firewall: FirewallReport, reporter: Reporter) -> None:
    for sentence in firewall.sentences():
        reporter.say(f"firewall: {sentence}")


def _report_plan(workspace: Workspace, plan: RoundPlan, reporter: Reporter) -> None:
    reporter.say(
        f"round {plan.round}: recipe {plan.recipe.name}, seed {plan.seed}, {describe_processes(plan)}; "
        f"{plan.training} to train on, {plan.validation} for validation, {plan.scored} to score"
    )
    if plan.teaching:
        reporter.say(
            f"round {plan.round}: {counted(plan.teaching, 'image')} without a label teach too, by the predictions of "
            f"the model of round {plan.teacher}"
        )
    width = plan.recipe.network.image_size
    if current_cluster() is None and not has_gpu() and width >= _WANTS_GPU_PX:
        reporter.say(
            f"warning: no GPU was found, and recipe {plan.recipe.name} trains on {width} px, which needs one; for "
            "recipe real, made for a few cores: Ctrl-C, catbuilder round --abandon, catbuilder round --recipe real"
        )
    if plan.validation == 0:
        reporter.say("there is no validation object: training runs through all its epochs")
    with workspace.reading(wait_s=None) as con:
        for warning in rendering_warnings(con, plan.round).values():
            reporter.say(f"warning: {warning}")


def _require_target(workspace: Workspace, recipe: Recipe) -> None:
    """Refuse a recipe that labels another survey: nothing would be calibrated, without a message."""
    target, known = recipe.sets.target, list(workspace.config.surveys)
    if target not in known:
        raise ConfigError(
            f"the recipe labels the survey '{target}', but this workspace has {', '.join(known)}; name the survey to "
            f"label: catbuilder round --set sets.target={known[0] if known else 'SURVEY'}"
        )
