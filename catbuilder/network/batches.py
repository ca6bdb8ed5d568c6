"""Choose the stamps of each batch and seed its random numbers; read stamps ahead in a thread.

Every random stream and every order is seeded by a hash of (seed, round, epoch, step, rank) or a part of it, never by
earlier draws. Training resumed at an epoch therefore draws the same numbers as uninterrupted training.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor

from catbuilder.core.stamps import StampReader

Positions = npt.NDArray[np.int64]
Purpose = Literal["weights", "order", "augmentation", "dropout", "validation"]
_PURPOSES: tuple[Purpose, ...] = ("weights", "order", "augmentation", "dropout", "validation")

_AHEAD = 3  # batches read before they are needed: enough to hide a slow disk, few enough for memory


def stream_seed(purpose: Purpose, *place: int) -> int:
    """Compute a 63-bit seed for one purpose at one place, such as (seed, round, epoch, step, rank)."""
    # Length and purpose go last: SeedSequence pads with zeros, so (1, 2) and (1, 2, 0) would give the same stream.
    entropy = [*place, len(place), _PURPOSES.index(purpose) + 1]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))


def stream(device: torch.device, purpose: Purpose, *place: int) -> Generator:
    """Make a random generator on `device`, seeded by `stream_seed`."""
    return Generator(device).manual_seed(stream_seed(purpose, *place))


def epoch_batches(n: int, batch_size: int, rank: int, ranks: int, order_seed: int) -> list[Positions]:
    """Make the batches of one rank in one epoch: a permutation of range(n), cut into global batches.

    The last global batch is filled from the beginning of the permutation, so that every rank has the same number of
    full batches; otherwise the allreduce would hang.
    """
    steps = -(-n // (batch_size * ranks))
    return _cut(np.random.default_rng(order_seed).permutation(n), steps, batch_size, rank, ranks)


def mixed_batches(
    labelled: int, taught: int, batch_size: int, share: float, rank: int, ranks: int, order_seed: int
) -> list[Positions]:
    """Make the batches of one rank in one epoch of labelled and taught images, whose positions follow one another.

    The taught ones fill `share` of each batch. An epoch has as many steps as the larger of the two sets has batches; of
    a set that is larger than its share a part is drawn anew in each epoch, and a smaller one comes several times.
    """
    generator = np.random.default_rng(order_seed)
    own = batch_size - max(1, min(batch_size - 1, round(share * batch_size)))
    steps = -(-max(labelled, taught) // (batch_size * ranks))
    of_labelled = _cut(generator.permutation(labelled), steps, own, rank, ranks)
    of_taught = _cut(labelled + generator.permutation(taught), steps, batch_size - own, rank, ranks)
    return [np.concatenate(both) for both in zip(of_labelled, of_taught, strict=True)]


def _cut(order: Positions, steps: int, batch_size: int, rank: int, ranks: int) -> list[Positions]:
    return list(np.resize(order, (steps, ranks, batch_size))[:, rank])


def ordered_batches(first: int, end: int, batch_size: int) -> list[Positions]:
    """Cut the positions from `first` to `end` into batches in order; the last may be shorter."""
    return [np.arange(start, min(start + batch_size, end)) for start in range(first, end, batch_size)]


def read_ahead(reader: StampReader, batches: Sequence[Positions], device: torch.device) -> Iterator[Tensor]:
    """Read the stamps of each batch, uint8 (n, size, size, 3), in a thread while the network computes.

    They stay in host memory. For a GPU that memory is page-locked, so that copying can overlap with computing.
    """

    def read(batch: Positions) -> Tensor:
        stamps = torch.from_numpy(reader.read(batch))
        return stamps.pin_memory() if device.type == "cuda" else stamps

    with ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(read, batch) for batch in batches[:_AHEAD])
        for following in range(_AHEAD, _AHEAD + len(batches)):
            stamps = waiting.popleft().result()
            if following < len(batches):
                waiting.append(thread.submit(read, batches[following]))
            yield stamps
