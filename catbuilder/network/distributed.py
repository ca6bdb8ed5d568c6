"""Average gradients and sum numbers over ranks with Horovod; the only module that imports it.

A launcher gives each process its rank by HOROVOD_RANK, HOROVOD_SIZE and HOROVOD_LOCAL_RANK. If HOROVOD_SIZE is absent
or 1, every function here works locally and Horovod need not be installed.
"""

import importlib.util
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from catbuilder.core.errors import LaunchError

_horovod: Any = None  # horovod.torch, once several ranks have joined


def horovod_available() -> bool:
    """Whether Horovod is installed with its PyTorch extension."""
    if importlib.util.find_spec("horovod") is None:
        return False
    return importlib.util.find_spec("horovod.torch") is not None


def init() -> None:
    """Join the other ranks, if there are any, and select this rank's CUDA device.

    Raises
    ------
    LaunchError
        Several ranks were started, but Horovod is not installed.
    """
    global _horovod
    if torch.cuda.is_available():
        torch.cuda.set_device(device())
    if size() == 1:
        return
    if not horovod_available():
        raise LaunchError(
            f"{size()} ranks started but Horovod is not installed; run scripts/build/build_horovod.sh or use --np 1"
        )
    # Which tensors are summed together is decided here. Horovod would fuse whatever is ready at the moment, which gave
    # different bits from run to run at four ranks.
    os.environ["HOROVOD_FUSION_THRESHOLD"] = "0"
    if not torch.cuda.is_available():
        # Every cycle, by default 1 ms, the ranks ask each other what is ready: on CPUs that took a sixth of each rank's
        # core. With 10 ms, gradients wait up to 10 ms longer, in steps that take hundreds.
        os.environ.setdefault("HOROVOD_CYCLE_TIME", "10")
    import horovod.torch as horovod

    horovod.init()
    _horovod = horovod


def shutdown() -> None:
    """Leave the other ranks; otherwise they would wait for this one."""
    global _horovod
    if _horovod is not None:
        _horovod.shutdown()
        _horovod = None


def rank() -> int:
    """Number of this process, from 0."""
    return int(os.environ.get("HOROVOD_RANK", "0"))


def size() -> int:
    """Give the number of ranks that train together."""
    return int(os.environ.get("HOROVOD_SIZE", "1"))


def local_rank() -> int:
    """Give the number of this process on its own machine, from 0."""
    return int(os.environ.get("HOROVOD_LOCAL_RANK", "0"))


def device() -> torch.device:
    """Give the CUDA device of this rank (ranks share devices if there are too few), else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", local_rank() % torch.cuda.device_count())
    return torch.device("cpu")


def allreduce_mean_(tensors: Sequence[Tensor]) -> None:
    """Replace every tensor by its mean over the ranks, in place.

    They are summed in one flat fp32 buffer, in the given order.
    """
    if _horovod is None or not tensors:
        return
    total = _horovod.allreduce_(_to_network(_flat(tensors)), op=_horovod.Sum, name="flat")
    _unpack(total.to(tensors[0].device).div_(size()), tensors)


class GradientAverager:
    """Replaces the gradients of a network's trainable parameters by their means over the ranks, at every step.

    Gradients are summed in groups of about equal size, each in one flat fp32 buffer, last layers first. A single group
    is sent after the backward pass. Of several, each is sent as soon as its last gradient is computed, while the
    backward pass goes on. Use one object for one set of trainable parameters, and `close` it before the next.

    Parameters
    ----------
    parameters : those of the network, in order of definition, the same on every rank
    groups : number of groups; if it exceeds the number of parameters, each parameter is a group
    """

    def __init__(self, parameters: Iterable[Parameter], groups: int) -> None:
        self._groups = _cut([p for p in parameters if p.requires_grad][::-1], groups)
        self._missing = [len(group) for group in self._groups]
        self._travelling: dict[int, tuple[Any, list[Parameter]]] = {}  # by group
        # Kept from step to step: allocating them again would take as long as filling them.
        self._buffers = [p.new_empty(sum(p.numel() for p in group)) for group in self._groups for p in group[:1]]
        self._hooks = []
        if _horovod is not None and len(self._groups) > 1:
            for number, group in enumerate(self._groups):
                self._hooks += [p.register_post_accumulate_grad_hook(self._arrival(number)) for p in group]

    def finish(self) -> None:
        """Send the remaining groups after the backward pass, and wait until every gradient is its mean."""
        if _horovod is None:
            return
        for number in range(len(self._groups)):
            if number not in self._travelling:
                self._send(number)
        for number in range(len(self._groups)):
            handle, parameters = self._travelling.pop(number)
            if parameters:
                mean = _horovod.synchronize(handle).to(parameters[0].device).div_(size())
                for parameter, part in zip(parameters, _parts(mean, parameters), strict=True):
                    parameter.grad = part  # not copied: the next step releases it before the buffer is written again
        self._missing = [len(group) for group in self._groups]

    def close(self) -> None:
        """Remove the hooks from the backward pass."""
        for hook in self._hooks:
            hook.remove()

    def _arrival(self, number: int) -> Callable[[Tensor], None]:
        def arrived(parameter: Tensor) -> None:
            self._missing[number] -= 1
            if self._missing[number] == 0:
                self._send(number)

        return arrived

    def _send(self, number: int) -> None:
        parameters = [p for p in self._groups[number] if p.grad is not None]
        handle = None
        if parameters:
            flat = _flat([p.grad for p in parameters if p.grad is not None], self._buffers[number])
            handle = _horovod.allreduce_async_(_to_network(flat), op=_horovod.Sum, name=f"gradients-{number}")
        self._travelling[number] = handle, parameters


def broadcast_(tensors: Sequence[Tensor]) -> None:
    """Replace every tensor by rank 0's, in place. Values pass through fp32."""
    if _horovod is None or not tensors:
        return
    _unpack(_horovod.broadcast(_to_network(_flat(tensors)), root_rank=0, name="state"), tensors)


def sum_scalars(values: Sequence[float]) -> list[float]:
    """Sum each number over the ranks, in float64; every rank gets the same bits."""
    if _horovod is None:
        return [float(value) for value in values]
    numbers = torch.tensor(values, dtype=torch.float64)
    return [float(v) for v in _horovod.allreduce(numbers, op=_horovod.Sum, name="scalars")]


def barrier() -> None:
    """Wait until every rank has called this."""
    sum_scalars([0.0])


def _cut(parameters: Sequence[Parameter], groups: int) -> list[list[Parameter]]:
    """Cut the parameters, in order, into groups of about equal size, none of them empty."""
    total = sum(p.numel() for p in parameters)
    cut: list[list[Parameter]] = [[] for _ in range(groups)]
    before = 0
    for parameter in parameters:
        middle = before + parameter.numel() / 2
        cut[int(middle * groups / total)].append(parameter)
        before += parameter.numel()
    return [group for group in cut if group]


def _to_network(flat: Tensor) -> Tensor:
    # Without NCCL Horovod sums in host memory; handing it device tensors would copy them one chunk at a time.
    return flat if flat.is_cuda and _horovod.nccl_built() else flat.cpu()


def _flat(tensors: Sequence[Tensor], buffer: Tensor | None = None) -> Tensor:
    """Concatenate all tensors in fp32, at the beginning of the buffer if one is given."""
    parts = [_in_memory_order(tensor).reshape(-1).to(torch.float32) for tensor in tensors]
    if buffer is None:
        return torch.cat(parts)
    return torch.cat(parts, out=buffer[: sum(part.numel() for part in parts)])


def _unpack(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for tensor, part in zip(tensors, _parts(flat, tensors), strict=True):
            tensor.copy_(part)


def _parts(flat: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Split the flat buffer into views with the shapes and layouts of the original tensors."""
    views = []
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        view = part.view(_in_memory_order(tensor).shape)
        views.append(view.permute(0, 3, 1, 2) if _is_channels_last(tensor) else view)
    return views


def _in_memory_order(tensor: Tensor) -> Tensor:
    """Give a view in memory order, so that channels_last weights are not copied."""
    return tensor.permute(0, 2, 3, 1) if _is_channels_last(tensor) else tensor


def _is_channels_last(tensor: Tensor) -> bool:
    return tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
