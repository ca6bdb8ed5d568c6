"""Everything the package asks of Horovod, and the only module that imports it.

A launcher tells each process its place by HOROVOD_RANK, HOROVOD_SIZE and HOROVOD_LOCAL_RANK. Where
HOROVOD_SIZE is absent or 1, every function here is a plain local one and Horovod need not be installed.
"""

import importlib.util
import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from catbuilder.errors import LaunchError

_horovod: Any = None  # horovod.torch once several ranks are joined


def horovod_available() -> bool:
    """Whether Horovod is installed with its PyTorch extension."""
    if importlib.util.find_spec("horovod") is None:
        return False
    return importlib.util.find_spec("horovod.torch") is not None


def init() -> None:
    """Join the other ranks, if there are any, and take this rank's CUDA device.

    Raises
    ------
    LaunchError
        Several ranks were started, but Horovod is not installed here.
    """
    global _horovod
    if torch.cuda.is_available():
        torch.cuda.set_device(device())
    if size() == 1:
        return
    if not horovod_available():
        raise LaunchError(
            f"{size()} ranks started but Horovod is not installed; run scripts/build_horovod.sh or use --np 1"
        )
    import horovod.torch as horovod

    horovod.init()
    _horovod = horovod


def shutdown() -> None:
    """Leave the other ranks; without this they would wait for us."""
    global _horovod
    if _horovod is not None:
        _horovod.shutdown()
        _horovod = None


def rank() -> int:
    """Number of this process, from 0."""
    return int(os.environ.get("HOROVOD_RANK", "0"))


def size() -> int:
    """How many ranks train together."""
    return int(os.environ.get("HOROVOD_SIZE", "1"))


def local_rank() -> int:
    """Number of this process on its own machine, from 0."""
    return int(os.environ.get("HOROVOD_LOCAL_RANK", "0"))


def device() -> torch.device:
    """CUDA device of this rank (several ranks share when there are fewer devices), else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", local_rank() % torch.cuda.device_count())
    return torch.device("cpu")


def allreduce_mean_(tensors: Sequence[Tensor]) -> None:
    """Replace every tensor by its mean over the ranks, in place.

    All travel in one flat fp32 buffer, in the given order: several fusion groups gave different bits from run
    to run at four ranks.
    """
    if _horovod is None or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1).to(torch.float32) for tensor in tensors])
    _unpack(_sum_over_ranks(flat).div_(size()), tensors)


def broadcast_(tensors: Sequence[Tensor]) -> None:
    """Replace every tensor by rank 0's, in place. Values pass through fp32."""
    if _horovod is None or not tensors:
        return
    flat = _to_network(torch.cat([tensor.reshape(-1).to(torch.float32) for tensor in tensors]))
    _unpack(_horovod.broadcast(flat, root_rank=0, name="state"), tensors)


def sum_scalars(values: Sequence[float]) -> list[float]:
    """Sum each number over the ranks, in float64; every rank gets the same bits."""
    if _horovod is None:
        return [float(value) for value in values]
    numbers = torch.tensor(values, dtype=torch.float64)
    return [float(v) for v in _horovod.allreduce(numbers, op=_horovod.Sum, name="scalars")]


def barrier() -> None:
    """Wait until every rank is here."""
    sum_scalars([0.0])


def _sum_over_ranks(flat: Tensor) -> Tensor:
    return _horovod.allreduce_(_to_network(flat), op=_horovod.Sum, name="flat").to(flat.device)


def _to_network(flat: Tensor) -> Tensor:
    # Without NCCL Horovod sums in host memory; handing it device tensors would copy them one chunk at a time.
    return flat if flat.is_cuda and _horovod.nccl_built() else flat.cpu()


def _unpack(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    parts = flat.split([tensor.numel() for tensor in tensors])
    with torch.no_grad():
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))
