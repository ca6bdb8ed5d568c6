"""The coordinator's side of training: the networks of a round, one after the other, and their record.

The members of an ensemble differ by their seed alone: starting weights of the head, order, augmentation and dropout
(Lakshminarayanan et al. 2017, arXiv:1612.01474). They train in turn, each with all the ranks of the round, so that
each has the memory and the bits of a network that trains alone; the price is that the time of a round's training is
multiplied by their number. What a member has finished is kept, so a kill costs an epoch of one of them.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from catbuilder.catalogue.round_records import RoundPlan, training_manifest_file
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.core.errors import CatalogueDamaged
from catbuilder.core.fault_points import fault_point
from catbuilder.core.files import atomic_move, quarantine, sha256_file
from catbuilder.core.interrupts import defer_interrupts, stop_requested
from catbuilder.core.progress import Reporter
from catbuilder.core.resources import query
from catbuilder.network.jobs import TrainJob, new_attempt
from catbuilder.network.model_card import is_whole, read_model_card
from catbuilder.rounds.launch.ranks import run_ranks
from catbuilder.rounds.worker_logs import TrainLog


@dataclass(frozen=True)
class Member:
    """One network of a round: its place in the ensemble, its seed, and where it stands once it is whole."""

    number: int  # from 0
    seed: int
    file: Path  # safetensors
    attempts: str  # kind of its attempts' folders
    called: str  # what a person reads: 'round 3' of a single network, else 'round 3, network 2 of 5'


@dataclass(frozen=True)
class TrainedMember:
    """What the record keeps of a member that is whole."""

    member: Member
    sha256: str
    epochs: int
    best_epoch: int  # from 1
    validation_loss: float | None


def member_seed(seed: int, number: int) -> int:
    """Seed of a member, 63 bits: the round's own for member 0, so that a single network is what it always was."""
    if number == 0:
        return seed
    child = np.random.SeedSequence(seed, spawn_key=(number,))
    return int(child.generate_state(1, np.uint64)[0] >> np.uint64(1))


def members_of(workspace: Workspace, plan: RoundPlan) -> list[Member]:
    """The networks that the plan asks for, whether or not they are trained yet."""
    folder, of = workspace.round_folder(plan.round), plan.recipe.members
    return [
        Member(
            number=number,
            seed=member_seed(plan.seed, number),
            file=folder / (f"model-{number}.safetensors" if number else "model.safetensors"),
            attempts=plan.attempts(f"member-{number}" if number else "train"),
            called=f"round {plan.round}" + (f", network {number + 1} of {of}" if of > 1 else ""),
        )
        for number in range(of)
    ]


def train_members(workspace: Workspace, plan: RoundPlan, reporter: Reporter) -> list[TrainedMember]:
    """Train every network of the round that is not there yet, each from its last checkpoint on.

    Raises
    ------
    CatalogueDamaged
        A model that was found there was trained by another plan.
    WorkerDied
        A rank ended before its work was done; the same call goes on from there.
    HostLost
        A host was cut off or went down; the same call goes on from there.
    """
    trained = []
    for member in members_of(workspace, plan):
        _set_damaged_aside([member.file], reporter)
        if not member.file.exists():
            atomic_move(_trained_attempt(workspace, plan, member, reporter), member.file)  # under the round lock
            fault_point("train.after_member")
        trained.append(_verified(plan, member))
        for checkpoint in _attempts(workspace, plan, member, "checkpoint-*"):
            checkpoint.unlink()  # three times the size of the model each, and of no more use
    return trained


def whole_models(workspace: Workspace, plan: RoundPlan, reporter: Reporter | None = None) -> list[Path]:
    """Files of the networks that a round has recorded, in order, each the one that was recorded by its hash.

    Parameters
    ----------
    reporter : of a round that is not closed: a damaged network is named to it and trained again, from the beginning

    Raises
    ------
    CatalogueDamaged
        One is missing or another file, and cannot be made again.
    """
    with workspace.reading(wait_s=None) as con:
        recorded = dict(con.execute(query("catalogue/model_files")).fetchall())
    members = members_of(workspace, plan)
    expected = {member.file: recorded[str(member.file.relative_to(workspace.path))] for member in members}
    damaged = [file for file in expected if not file.exists() or sha256_file(file) != expected[file]]
    if damaged and reporter is not None:
        for file in damaged:
            kept = f", and is kept as {quarantine(file).name}" if file.exists() else ""
            reporter.say(f"careful: {file} is missing or damaged{kept}; training it again")
        train_members(workspace, plan, reporter)
        damaged = [file for file in damaged if sha256_file(file) != expected[file]]
    if damaged:
        raise CatalogueDamaged(
            f"{damaged[0]} is missing or not the model that was recorded; put it back from a backup, or train another "
            "with: catbuilder round (give up an unfinished one first: catbuilder round --abandon)"
        )
    return list(expected)


def record_models(recording: Recording, workspace: Workspace, plan: RoundPlan, trained: list[TrainedMember]) -> None:
    """Record the round's model, and every network of an ensemble in `members`."""
    network = plan.recipe.network
    for found in trained:
        member, file = found.member, str(found.member.file.relative_to(workspace.path))
        outcome = [found.epochs, found.best_epoch, found.validation_loss, plan.round, recording.run]
        if member.number == 0:
            recording.con.execute(
                "INSERT INTO models VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [plan.round, file, found.sha256, network.backbone, network.weights, member.seed, *outcome],
            )
        if len(trained) > 1:
            recording.con.execute(
                "INSERT INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [plan.round, member.number, member.seed, file, found.sha256, *outcome],
            )


def _verified(plan: RoundPlan, member: Member) -> TrainedMember:
    """What is to be recorded of a whole model; raises where another plan than the round's has made it."""
    card = read_model_card(member.file)
    found = card.plan
    # The recipes themselves and not their hashes: a setting that came with a newer catbuilder is in the hash, with its
    # default, and the card of a model that was trained before has no word of it.
    planned = (plan.recipe, plan.manifest_sha256, member.seed, plan.round, plan.ranks)
    if (card.recipe, found.manifest_sha256, found.seed, found.round, found.ranks) != planned:
        raise CatalogueDamaged(
            f"{member.file} was trained by another plan than that of {member.called}; move it out of the way and "
            "give the same command again"
        )
    best = card.history[card.best_epoch]
    return TrainedMember(member, sha256_file(member.file), len(card.history), card.best_epoch + 1, best.validation_loss)


def _trained_attempt(workspace: Workspace, plan: RoundPlan, member: Member, reporter: Reporter) -> Path:
    """A whole model that an attempt has left; trains where there is none, from the last whole checkpoint on."""
    for model in _set_damaged_aside(sorted(_attempts(workspace, plan, member, "model")), reporter):
        return model
    checkpoints = _set_damaged_aside(_attempts(workspace, plan, member, "checkpoint-*"), reporter)
    last = max(checkpoints, key=lambda path: (path.name, path.parent.name), default=None)
    attempt = new_attempt(workspace.round_folder(plan.round), member.attempts)
    job = TrainJob(
        workspace=workspace.path, manifest=training_manifest_file(workspace, plan.round), folder=attempt,
        recipe=plan.recipe, classes=plan.classes, seed=member.seed, round=plan.round, threads=plan.threads,
        coordinator=os.getpid(), resume_from=last,
    )  # fmt: skip
    if last is not None:
        reporter.say(f"{member.called}: training goes on after {last.stem.replace('-', ' of epoch ')}")
    until = "at the end of this epoch, with its checkpoint"
    with reporter.bar(f"{member.called}: training") as update, defer_interrupts(until):
        log = TrainLog(attempt / "train.jsonl", update, reporter, member.called)
        asked_at: list[Path] = []  # the last checkpoint when Ctrl-C was given

        def watch() -> None:
            log.follow()
            if stop_requested():
                last = max(attempt.glob("checkpoint-*.safetensors"), default=attempt)
                asked_at.append(last)
                if last != asked_at[0]:
                    raise KeyboardInterrupt

        job_file = job.write(attempt / "job.json")
        run_ranks("catbuilder.network.train", job_file, attempt, plan.ranks, plan.threads, watch, plan.hosts)
        log.follow()
    return attempt / "model.safetensors"


def _set_damaged_aside(files: list[Path], reporter: Reporter) -> list[Path]:
    """Those of the checkpoints or models that are whole; the others are renamed and named."""
    there = [file for file in files if file.exists()]
    whole = [file for file in there if is_whole(file)]
    for file in there:
        if file not in whole:
            reporter.say(f"careful: {file} is damaged, and is kept as {quarantine(file).name}; going on without it")
    return whole


def _attempts(workspace: Workspace, plan: RoundPlan, member: Member, name: str) -> list[Path]:
    """Files of that name which the member's attempts have left."""
    return list(workspace.round_folder(plan.round).glob(f"attempts/{member.attempts}-*/{name}.safetensors"))
