"""Save and load checkpoints and models: safetensors files with metadata and a checksum.

The checksum covers tensors and metadata: safetensors notices a truncated file, but not a flipped bit. A checkpoint
holds the network, Adam's moments, the moving average of the weights if there is one, and the best weights so far unless
these are the network's own. The metadata is one
JSON text under one key: several keys would be stored in an order that changes from run to run, and equal trainings must
give equal bytes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from catbuilder.core.errors import WeightsError, WorkerDied
from catbuilder.core.files import atomic_write
from catbuilder.network.galaxy_network import GalaxyNetwork, build_network
from catbuilder.network.model_card import (
    METADATA_KEY,
    CardPlan,
    ModelCard,
    RawTensor,
    TrainingSummary,
    content_sha256,
    not_a_model,
    split_checksum,
)

_KEEP = 2  # checkpoints of an attempt: the last, and the one before in case the last is damaged on disk


State = dict[str, Tensor]


def state_copy(network: nn.Module) -> State:
    """Copy every parameter and buffer of the network to the CPU, in contiguous layout."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}


def save_checkpoint(
    folder: Path,
    training: TrainingSummary,
    network: nn.Module,
    optimiser: Optimizer,
    average: AveragedModel | None,
    best: State | None,
) -> Path:
    """Write `checkpoint-<epoch>.safetensors` and delete all but the last two.

    Parameters
    ----------
    average : the moving average of the network's weights, if there is one
    best : weights of the best epoch, or None if these are the average, or without one the network's own
    """
    tensors = {f"network.{name}": tensor for name, tensor in state_copy(network).items()}
    if average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in state_copy(average.module).items()}
    tensors |= {f"best.{name}": tensor for name, tensor in (best or {}).items()}
    for name, parameter in network.named_parameters():
        for part, tensor in optimiser.state.get(parameter, {}).items():
            tensors[f"adam.{part}.{name}"] = tensor.detach().cpu().contiguous().clone()
    path = folder / f"checkpoint-{len(training.history):03d}.safetensors"
    _save(path, tensors, training)
    for old in sorted(folder.glob("checkpoint-*.safetensors"))[:-_KEEP]:
        old.unlink()
    return path


def load_checkpoint(
    path: Path, plan: CardPlan, network: nn.Module, optimiser: Optimizer, average: AveragedModel | None
) -> tuple[TrainingSummary, State]:
    """Restore network, optimiser and moving average from a checkpoint; give its metadata and the best weights.

    Raises
    ------
    WorkerDied
        The file is damaged, or it belongs to another plan.
    """
    tensors, text = _load(path)
    try:
        training = TrainingSummary.model_validate_json(text)
    except ValidationError:
        raise WorkerDied(f"{path} is not a training checkpoint; remove it and give the same command again") from None
    differing = [key for key in CardPlan.model_fields if getattr(plan, key) != getattr(training.plan, key)]
    if differing:
        raise WorkerDied(
            f"{path} belongs to another plan ({', '.join(differing)} differ); remove it and give the same command again"
        )
    try:
        network.load_state_dict(_under("network.", tensors))
        if average is not None:
            average.module.load_state_dict(_under("average.", tensors))
            average.n_averaged.fill_(1)  # only the first update copies the weights
        _load_adam(network, optimiser, tensors)
    except RuntimeError:  # other names or shapes
        raise WorkerDied(
            f"{path} does not fit the recipe's network; remove it and give the same command again"
        ) from None
    return training, _under("best.", tensors) or state_copy(network if average is None else average.module)


def save_model(path: Path, weights: State, card: ModelCard) -> None:
    """Write a finished model with its recipe, plan and history."""
    _save(path, weights, card)


def load_model(path: Path) -> tuple[GalaxyNetwork, ModelCard]:
    """Read a finished model: the network on the CPU in eval mode, and its card.

    Raises
    ------
    WeightsError
        The file is missing, damaged, or not a model.
    """
    try:
        tensors, text = _load(path)
        card = ModelCard.model_validate_json(text)
    except (WorkerDied, ValidationError):
        raise not_a_model(path) from None
    network = build_network(card.recipe.network, len(card.plan.classes))
    try:
        network.load_state_dict(tensors)
    except RuntimeError:  # other names or shapes
        raise WeightsError(f"{path} does not hold the weights of the network it names; train the round again") from None
    return network.eval(), card


def _load_adam(network: nn.Module, optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    for name, parameter in network.named_parameters():
        state: dict[str, Any] = {}
        for part in ("step", "exp_avg", "exp_avg_sq"):
            if f"adam.{part}.{name}" in tensors:
                saved = tensors[f"adam.{part}.{name}"]
                # Moments take the parameter's layout and device; Adam counts its steps on the CPU.
                state[part] = saved.clone() if part == "step" else torch.empty_like(parameter).copy_(saved)
        if state:
            optimiser.state[parameter] = state


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> State:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _save(path: Path, tensors: State, metadata: BaseModel) -> None:
    text = metadata.model_dump_json()
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, metadata={METADATA_KEY: with_checksum(tensors, text)})
        temporary.chmod(0o644)  # safetensors makes it private; a group may share its workspace


def _load(path: Path) -> tuple[State, str]:
    try:
        with safe_open(path, framework="pt") as file:
            digest, text = split_checksum((file.metadata() or {}).get(METADATA_KEY, ""))
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (OSError, SafetensorError):
        digest, tensors, text = "", {}, ""
    if digest != _digest(tensors, text):
        raise WorkerDied(f"{path} is missing or damaged; give the same command again to continue without it")
    return tensors, text


def with_checksum(tensors: Mapping[str, Tensor], text: str) -> str:
    """Add to metadata (a JSON object) a first key `sha256`: the checksum of the metadata and its tensors."""
    return f'{{"sha256":"{_digest(tensors, text)}",{text[1:]}'


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    raw = (
        RawTensor(name, str(tensor.dtype), tuple(tensor.shape), tensor.reshape(-1).view(torch.uint8).numpy().data)
        for name, tensor in flat.items()
    )
    return content_sha256(raw, text)
