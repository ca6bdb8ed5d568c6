"""Train the networks of a round one after the other, from the coordinator, and record them.

The members of an ensemble differ only by their seed, which sets the starting weights of the head, the order, the
augmentation and the dropout (Lakshminarayanan et al. 2017, arXiv:1612.01474). They train in turn, each with all ranks
of the round, so each has the memory and the bits of a network that trains alone. The price is that training takes as
many times longer as there are members. Finished members are kept, so a kill costs at most an epoch of one of them.

A training may collapse: its network answers one class for nearly everything. Such a network is trained again from
another seed, `training.tries` times in all; the last is then recorded as collapsed, and its round neither speaks nor
promotes.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from catbuilder.catalogue.connection import Connection
from catbuilder.catalogue.round_records import RoundPlan, read_plan, training_manifest_file
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.core.errors import CatalogueDamaged
from catbuilder.core.files import atomic_move, quarantine, sha256_file
from catbuilder.core.interrupts import defer_interrupts, stop_requested
from catbuilder.core.kill_points import fault_point
from catbuilder.core.progress import Reporter
from catbuilder.core.resources import query
from catbuilder.network.jobs import TrainJob, new_attempt
from catbuilder.network.model_card import is_whole, read_model_card
from catbuilder.rounds.launch.ranks import run_ranks
from catbuilder.rounds.worker_logs import TrainingLog


@dataclass(frozen=True)
class Member:
    """One network of a round: its number in the ensemble, its seeds, and the file of the trained network."""

    number: int  # from 0
    seeds: tuple[int, ...]  # of the first training, and of the others if it collapses
    file: Path  # safetensors
    attempts: str  # beginning of the names of its attempts' folders
    title: str  # in messages: 'round 3' for a single network, else 'round 3, network 2 of 5'


@dataclass(frozen=True)
class TrainedMember:
    """What the catalogue records of a trained network."""

    member: Member
    seed: int
    collapsed: bool
    sha256: str
    epochs: int
    best_epoch: int  # from 1
    validation_loss: float | None


def member_seed(seed: int, number: int, again: int = 0) -> int:
    """Compute the seed of a member, 63 bits; member 0 has the round's own, so that it equals a single network.

    Parameters
    ----------
    again : how many trainings of it have collapsed
    """
    if number == again == 0:
        return seed
    child = np.random.SeedSequence(seed, spawn_key=(number, again) if again else (number,))
    return int(child.generate_state(1, np.uint64)[0] >> np.uint64(1))


def members_of(workspace: Workspace, plan: RoundPlan) -> list[Member]:
    """List the networks that the plan asks for, trained or not."""
    folder, of = workspace.round_folder(plan.round), plan.recipe.members
    return [
        Member(
            number=number,
            seeds=tuple(member_seed(plan.seed, number, again) for again in range(plan.recipe.training.tries)),
            file=folder / (f"model-{number}.safetensors" if number else "model.safetensors"),
            attempts=plan.attempts(f"member-{number}" if number else "train"),
            title=f"round {plan.round}" + (f", network {number + 1} of {of}" if of > 1 else ""),
        )
        for number in range(of)
    ]


def train_members(workspace: Workspace, plan: RoundPlan, reporter: Reporter) -> list[TrainedMember]:
    """Train the networks of the round that are not trained yet, each from its last checkpoint.

    Raises
    ------
    CatalogueDamaged
        A model file in the round's folder was trained by another plan.
    WorkerDied
        A rank ended before its work was done; the same call continues from there.
    HostLost
        A node of the cluster was lost; the same call continues from there.
    """
    trained = []
    for member in members_of(workspace, plan):
        _quarantine_damaged([member.file], reporter)
        if not member.file.exists():
            atomic_move(
                _trained_without_collapse(workspace, plan, member, reporter), member.file
            )  # under the round lock
            fault_point("train.after_member")
        trained.append(_verified(plan, member))
        for again in range(len(member.seeds)):
            for checkpoint in _attempts(workspace, plan, member, again, "checkpoint-*"):
                checkpoint.unlink()  # each three times the size of the model, and no longer needed
    return trained


def verified_models(workspace: Workspace, plan: RoundPlan, reporter: Reporter | None = None) -> list[Path]:
    """List the files of the networks of a round's model, its own first, after checking their hashes.

    Parameters
    ----------
    reporter : give one only for a round that is not closed: a missing or damaged network is then reported and trained
        again from the beginning

    Raises
    ------
    CatalogueDamaged
        A file is missing or has another hash, and it cannot be trained again.
    """
    with workspace.reading(wait_s=None) as con:
        recorded = dict(con.execute(query("catalogue/model_files")).fetchall())
        files = [member.file for member in members_of(workspace, plan)]
        own = set(files)
        files += borrowed_networks(workspace, con, plan)
    expected = {file: recorded[str(file.relative_to(workspace.path))] for file in files}
    damaged = [file for file in expected if not file.exists() or sha256_file(file) != expected[file]]
    if damaged and reporter is not None and own.issuperset(damaged):
        for file in damaged:
            kept = f" (the damaged file is kept as {quarantine(file).name})" if file.exists() else ""
            reporter.say(f"warning: {file} is missing or damaged{kept}; training it again")
        train_members(workspace, plan, reporter)
        damaged = [file for file in damaged if sha256_file(file) != expected[file]]
    if damaged:
        raise CatalogueDamaged(
            f"{damaged[0]} is missing or not the model that was recorded; put it back from a backup, or train another "
            "with: catbuilder round (abandon an unfinished round first: catbuilder round --abandon)"
        )
    return list(expected)


def borrowed_networks(workspace: Workspace, con: Connection, plan: RoundPlan) -> list[Path]:
    """List the files of the earlier rounds' networks with which a round's own ones are averaged."""
    plans = [read_plan(con, number) for number in plan.averaged_with]
    return [member.file for earlier in plans for member in members_of(workspace, earlier)]


def record_models(recording: Recording, workspace: Workspace, plan: RoundPlan, trained: list[TrainedMember]) -> None:
    """Record the round's model in `models`, and each network of an ensemble in `members`."""
    network, borrowed = plan.recipe.network, borrowed_networks(workspace, recording.con, plan)
    for found in trained:
        member, file = found.member, str(found.member.file.relative_to(workspace.path))
        outcome = [found.epochs, found.best_epoch, found.validation_loss, plan.round, recording.run]
        if member.number == 0:
            recording.con.execute(
                "INSERT INTO models VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [plan.round, file, found.sha256, network.backbone, network.weights, found.seed, *outcome,
                 any(one.collapsed for one in trained)],
            )  # fmt: skip
        if len(trained) + len(borrowed) > 1:
            recording.con.execute(
                "INSERT INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [plan.round, member.number, found.seed, file, found.sha256, *outcome],
            )
    recording.con.execute(
        query("rounds/record_borrowed_members"),
        {"model": plan.round, "own": len(trained), "run": recording.run,
         "files": [str(file.relative_to(workspace.path)) for file in borrowed]},
    )  # fmt: skip


def _verified(plan: RoundPlan, member: Member) -> TrainedMember:
    """Read what to record of a trained network; raises if it was trained by another plan than the round's."""
    card = read_model_card(member.file)
    found = card.plan
    # Compare the recipes, not their hashes: a hash covers the default of a setting that came with a newer catbuilder,
    # and the card of a model that was trained before it lacks that setting.
    planned = (plan.recipe, plan.manifest_sha256, plan.round, plan.ranks)
    same = (card.recipe, found.manifest_sha256, found.round, found.ranks) == planned
    if not same or found.seed not in member.seeds:
        raise CatalogueDamaged(
            f"{member.file} was trained by another plan than that of {member.title}; move it elsewhere and "
            "give the same command again"
        )
    best = card.history[card.best_epoch]
    collapsed = len(member.seeds) > 1 and best.has_collapsed
    epochs = (len(card.history), card.best_epoch + 1)
    return TrainedMember(member, found.seed, collapsed, sha256_file(member.file), *epochs, best.validation_loss)


def _trained_without_collapse(workspace: Workspace, plan: RoundPlan, member: Member, reporter: Reporter) -> Path:
    """Train a network, again from other seeds if it collapses; give the file of the last one."""
    for again in range(len(member.seeds)):
        model = _trained_attempt(workspace, plan, member, again, reporter)
        card = read_model_card(model)
        if len(member.seeds) == 1 or not card.history[card.best_epoch].has_collapsed:
            break
        left = len(member.seeds) - again - 1
        reporter.say(
            f"warning: {member.title}: the training collapsed (the network tells the classes of the validation set "
            f"hardly better than chance); "
            + ("training it again from another seed" if left else "the round neither speaks nor promotes")
        )
    return model


def _attempt_names(member: Member, again: int) -> str:
    return f"{member.attempts}-again-{again}" if again else member.attempts


def _trained_attempt(workspace: Workspace, plan: RoundPlan, member: Member, again: int, reporter: Reporter) -> Path:
    """Return a finished model of an earlier attempt, or train one from the last undamaged checkpoint."""
    for model in _quarantine_damaged(sorted(_attempts(workspace, plan, member, again, "model")), reporter):
        return model
    checkpoints = _quarantine_damaged(_attempts(workspace, plan, member, again, "checkpoint-*"), reporter)
    last = max(checkpoints, key=lambda path: (path.name, path.parent.name), default=None)
    attempt = new_attempt(workspace.round_folder(plan.round), _attempt_names(member, again))
    job = TrainJob(
        workspace=workspace.path, manifest=training_manifest_file(workspace, plan.round), folder=attempt,
        recipe=plan.recipe, classes=plan.classes, seed=member.seeds[again], round=plan.round, threads=plan.threads,
        coordinator=os.getpid(), in_place_of=plan.in_place_of, resume_from=last,
    )  # fmt: skip
    if last is not None:
        reporter.say(f"{member.title}: training continues after {last.stem.replace('-', ' of epoch ')}")
    until = "at the end of this epoch, with its checkpoint"
    with reporter.bar(f"{member.title}: training") as update, defer_interrupts(until):
        log = TrainingLog(attempt / "train.jsonl", update, reporter, member.title)
        asked_at: list[Path] = []  # the last checkpoint when Ctrl-C was given

        def watch() -> None:
            log.follow()
            if stop_requested():
                last = max(attempt.glob("checkpoint-*.safetensors"), default=attempt)
                asked_at.append(last)
                if last != asked_at[0]:
                    raise KeyboardInterrupt

        run_ranks(job, plan.ranks, watch)
        log.follow()
    return attempt / "model.safetensors"


def _quarantine_damaged(files: list[Path], reporter: Reporter) -> list[Path]:
    """Return the undamaged ones of the checkpoints or models; rename the others and report them."""
    there = [file for file in files if file.exists()]
    whole = [file for file in there if is_whole(file)]
    for file in there:
        if file not in whole:
            reporter.say(f"warning: {file} is damaged (it is kept as {quarantine(file).name}); continuing without it")
    return whole


def _attempts(workspace: Workspace, plan: RoundPlan, member: Member, again: int, name: str) -> list[Path]:
    """List the files of that name from all attempts to train the member from one of its seeds."""
    attempts = f"{_attempt_names(member, again)}-[0-9]*"
    return list(workspace.round_folder(plan.round).glob(f"attempts/{attempts}/{name}.safetensors"))
