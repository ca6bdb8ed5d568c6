"""Training schedule: choose the stage and learning rate of the next epoch, or the end of training.

The schedule is a pure function of the recipe, the number of ranks and the validation losses so far. Resumed training
therefore needs no saved scheduler state, and all ranks agree without communication.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from catbuilder.core.recipe import Training


@dataclass(frozen=True)
class Epoch:
    """An epoch to train; `number` and `stage` count from 0."""

    number: int
    stage: int
    learning_rate: float


def max_epochs(training: Training) -> int:
    """Count the epochs if no stage stops early."""
    return sum(stage.epochs for stage in training.stages)


def next_epoch(training: Training, ranks: int, losses: Sequence[float | None]) -> Epoch | None:
    """Choose the next epoch, given the validation losses so far; None if training is over.

    Parameters
    ----------
    losses : validation loss of every epoch so far, in order; None if there was no validation: such an epoch neither
        stops a stage nor lowers the rate

    Notes
    -----
    Patience and plateau start again in each stage, as in the paper. The warm-up counts epochs of the whole training,
    since only the first gradients of a new optimiser need it. If the last epoch is kept, every stage has its full
    length and no plateau lowers the rate: a rate annealed to its end is what makes the last epoch good.
    """
    if training.keep == "last":
        losses = [None] * len(losses)
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


def kept_epoch(training: Training, losses: Sequence[float | None]) -> int:
    """Find the epoch whose network is kept: by `training.keep` the last, or the one of least validation loss.

    Of equal losses the earliest counts; the last epoch is kept if none was validated.
    """
    if training.keep == "last":
        return len(losses) - 1
    known = [(loss, epoch) for epoch, loss in enumerate(losses) if loss is not None and math.isfinite(loss)]
    return min(known)[1] if known else len(losses) - 1


def _epochs_until_stop(losses: Sequence[float | None], patience: int) -> int:
    """Count the epochs of a stage before patience ended it."""
    for ran in range(1, len(losses)):
        if _ran_out(losses[:ran], patience):
            return ran
    return len(losses)


def _ran_out(losses: Sequence[float | None], patience: int) -> bool:
    return _since_best(losses) >= patience


def _since_best(losses: Sequence[float | None]) -> int:
    """Count the validated epochs since the best one."""
    best, since = math.inf, 0
    for loss in losses:
        if loss is not None:
            better = loss < best  # a loss that is not a number is never better
            best, since = (loss, 0) if better else (best, since + 1)
    return since


def _plateau_share(losses: Sequence[float | None], training: Training) -> float:
    """Multiply the factors by which plateaus have lowered the rate in this stage."""
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
