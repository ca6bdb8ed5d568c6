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

from catbuilder.errors import CatalogueDamaged
from catbuilder.faults import fault_point
from catbuilder.files import sha256_file, sync_folder
from catbuilder.jobs import TrainJob, new_attempt
from catbuilder.plan import Plan, training_manifest_file
from catbuilder.progress import Reporter
from catbuilder.ranks import run_ranks
from catbuilder.trainlog import TrainLog
from catbuilder.workspace import Recording, Workspace


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


def members_of(workspace: Workspace, plan: Plan) -> list[Member]:
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


def train_members(workspace: Workspace, plan: Plan, reporter: Reporter) -> list[TrainedMember]:
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
        if not member.file.exists():
            _adopt(_trained_attempt(workspace, plan, member, reporter), member.file)
            fault_point("train.after_member")
        trained.append(_verified(plan, member))
        for checkpoint in _attempts(workspace, plan, member, "checkpoint-*"):
            checkpoint.unlink()  # three times the size of the model each, and of no more use
    return trained


def record_models(recording: Recording, workspace: Workspace, plan: Plan, trained: list[TrainedMember]) -> None:
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


def _verified(plan: Plan, member: Member) -> TrainedMember:
    """What is to be recorded of a whole model; raises where another plan than the round's has made it."""
    from catbuilder.checkpoint import read_model_card  # torch takes a second to import; a resumed round may not need it

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


def _trained_attempt(workspace: Workspace, plan: Plan, member: Member, reporter: Reporter) -> Path:
    """A whole model that an attempt has left; trains where there is none, from the last checkpoint on."""
    for model in sorted(_attempts(workspace, plan, member, "model")):
        return model
    checkpoints = _attempts(workspace, plan, member, "checkpoint-*")
    last = max(checkpoints, key=lambda path: (path.name, path.parent.name), default=None)
    attempt = new_attempt(workspace.round_folder(plan.round), member.attempts)
    job = TrainJob(
        workspace=workspace.path, manifest=training_manifest_file(workspace, plan.round), folder=attempt,
        recipe=plan.recipe, classes=plan.classes, seed=member.seed, round=plan.round, threads=plan.threads,
        coordinator=os.getpid(), resume_from=last,
    )  # fmt: skip
    if last is not None:
        reporter.say(f"{member.called}: training goes on after {last.stem.replace('-', ' of epoch ')}")
    with reporter.bar(f"{member.called}: training") as update:
        log = TrainLog(attempt / "train.jsonl", update, reporter, member.called)
        job_file = job.write(attempt / "job.json")
        run_ranks("catbuilder.train", job_file, attempt, plan.ranks, plan.threads, log.follow, plan.hosts)
        log.follow()
    return attempt / "model.safetensors"


def _attempts(workspace: Workspace, plan: Plan, member: Member, name: str) -> list[Path]:
    """Files of that name which the member's attempts have left."""
    return list(workspace.round_folder(plan.round).glob(f"attempts/{member.attempts}-*/{name}.safetensors"))


def _adopt(found: Path, place: Path) -> None:
    """Give an attempt's whole file its final name; only the holder of the round lock does this."""
    os.replace(found, place)
    sync_folder(place.parent)
