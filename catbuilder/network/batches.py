"""Which stamps a step reads, in what order, and from which random stream.

Every stream and every order is a hash of (seed, round, epoch, step, rank) or a part of it, never the state
left by what ran before: a training resumed at an epoch draws the very numbers it would have drawn.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Generator, Tensor

from catbuilder.core.stamps import StampReader

Positions = npt.NDArray[np.int64]
Purpose = Literal["weights", "order", "augmentation", "dropout", "validation"]
_PURPOSES: tuple[Purpose, ...] = ("weights", "order", "augmentation", "dropout", "validation")

_AHEAD = 3  # batches read before they are needed: enough to hide a slow disk, little enough to hold in memory


def stream_seed(purpose: Purpose, *place: int) -> int:
    """A 63-bit seed for one purpose at one place, such as (seed, round, epoch, step, rank)."""
    # The purpose goes last: SeedSequence pads with zeros, so (1, 2) and (1, 2, 0) would be the same stream.
    entropy = [*place, len(place), _PURPOSES.index(purpose) + 1]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))


def stream(device: torch.device, purpose: Purpose, *place: int) -> Generator:
    """A generator on `device`, seeded by `stream_seed`."""
    return Generator(device).manual_seed(stream_seed(purpose, *place))


def epoch_batches(n: int, batch_size: int, rank: int, ranks: int, order_seed: int) -> list[Positions]:
    """Batches of one rank in one epoch: a permutation of range(n), cut into global batches.

    The last global batch is filled by wrapping round to the permutation's beginning, so that every rank has
    as many full batches as every other; uneven ones would hang in the allreduce.
    """
    order = np.random.default_rng(order_seed).permutation(n)
    steps = -(-n // (batch_size * ranks))
    order = np.resize(order, (steps, ranks, batch_size))
    return list(order[:, rank])


def plain_batches(first: int, end: int, batch_size: int) -> list[Positions]:
    """Positions first to end in order, in batches, the last as short as it comes."""
    return [np.arange(start, min(start + batch_size, end)) for start in range(first, end, batch_size)]


def read_ahead(reader: StampReader, batches: Sequence[Positions], device: torch.device) -> Iterator[Tensor]:
    """Stamps of each batch, uint8 (n, size, size, 3), read in a thread while the network computes.

    They are in host memory still, page-locked where the device is a GPU, which can then fetch them as it computes.
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


def manifest_rows(manifest: pq.ParquetFile, first: int, end: int, columns: list[str]) -> pa.Table:
    """Rows first to end of a manifest; only the row groups that hold them are read."""
    parts, start = [], 0
    for group in range(manifest.num_row_groups):
        rows = manifest.metadata.row_group(group).num_rows
        if start < end and start + rows > first:
            inside = slice(max(first - start, 0), min(end - start, rows))
            table = manifest.read_row_group(group, columns=columns)
            parts.append(table.slice(inside.start, inside.stop - inside.start))
        start += rows
    return pa.concat_tables(parts) if parts else manifest.schema_arrow.empty_table().select(columns)
