"""What the next epoch of a training is: stage, learning rate, or the end.

A pure function of the recipe, the number of ranks and the validation losses so far. Whoever knows the
history knows the schedule: a resumed training needs no saved scheduler state, and all ranks agree without a
word, because they have the same history.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from catbuilder.core.recipe import Training


@dataclass(frozen=True)
class Epoch:
    """One epoch to be trained: `number` and `stage` count from 0."""

    number: int
    stage: int
    learning_rate: float


def epochs_at_most(training: Training) -> int:
    """Number of epochs if no stage stops early."""
    return sum(stage.epochs for stage in training.stages)


def next_epoch(training: Training, ranks: int, losses: Sequence[float | None]) -> Epoch | None:
    """The epoch after those whose validation losses are given, or None when training is over.

    Parameters
    ----------
    losses : validation loss of every epoch so far, in order; None where nothing was validated: such an
        epoch neither stops a stage nor lowers the rate

    Notes
    -----
    Patience and plateau start afresh in each stage, as the paper's do. The warm-up counts epochs of the whole
    training, since its reason, gradients of a fresh optimiser, is gone after the first epochs.
    """
    first = 0  # epoch at which the stage began
    for number, stage in enumerate(training.stages):
        done = losses[first : first + stage.epochs]
        ran = _epochs_until_stop(done, training.patience)
        if ran == len(done) < stage.epochs and not _ran_out(done, training.patience):
            rate = training.learning_rate * stage.rate * _plateau_share(done, training)
            if stage.cosine:
                rate *= (1 + math.cos(math.pi * len(done) / stage.epochs)) / 2
            return Epoch(len(losses), number, rate * _rank_share(training, ranks, len(losses)))
        first += ran
    return None


def best_epoch(losses: Sequence[float | None]) -> int:
    """Number of the epoch with the smallest loss, the earliest of equals; the last if none was validated."""
    known = [(loss, epoch) for epoch, loss in enumerate(losses) if loss is not None and math.isfinite(loss)]
    return min(known)[1] if known else len(losses) - 1


def _epochs_until_stop(losses: Sequence[float | None], patience: int) -> int:
    """How many of a stage's epochs ran before patience ended it."""
    for ran in range(1, len(losses)):
        if _ran_out(losses[:ran], patience):
            return ran
    return len(losses)


def _ran_out(losses: Sequence[float | None], patience: int) -> bool:
    return _since_best(losses) >= patience


def _since_best(losses: Sequence[float | None]) -> int:
    """Validated epochs since the best one."""
    best, since = math.inf, 0
    for loss in losses:
        if loss is not None:
            better = loss < best  # a loss that is not a number is never better
            best, since = (loss, 0) if better else (best, since + 1)
    return since


def _plateau_share(losses: Sequence[float | None], training: Training) -> float:
    """Product of the factors by which plateaus have lowered the rate in this stage."""
    best, waited, share = math.inf, 0, 1.0
    for loss in losses:
        if loss is None:
            continue
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited == training.plateau_patience:
            share, waited = share * training.plateau_factor, 0
    return share


def _rank_share(training: Training, ranks: int, epoch: int) -> float:
    return float(ranks) if training.scale_rate and epoch >= training.warmup_epochs else 1.0
