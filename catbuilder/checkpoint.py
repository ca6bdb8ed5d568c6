"""Checkpoints and models: safetensors files that carry their own story and need no other file.

Each carries a hash of its tensors and its story: safetensors notices a file that is cut off, not one with a bit
flipped. A checkpoint holds the network, Adam's moments, and the best weights so far where these are other ones. Its
metadata is one JSON text under one key: several keys would be stored in an order that changes from run to
run, and equal trainings shall leave equal bytes.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from catbuilder.config import Recipe
from catbuilder.errors import WeightsError, WorkerDied
from catbuilder.files import written_whole
from catbuilder.network import GalaxyNetwork, build_network

_KEY = "catbuilder"
_KEEP = 2  # checkpoints of an attempt: the last, and the one before in case the disk holds a bad block


class Plan(BaseModel):
    """What must agree before a checkpoint may be gone on from."""

    model_config = ConfigDict(frozen=True)

    recipe_sha256: str
    manifest_sha256: str
    classes: tuple[str, ...]
    seed: int
    round: int
    ranks: int
    threads: int


class EpochResult(BaseModel):
    """What an epoch left for the history: figures alone, no times; equal trainings have equal histories."""

    epoch: int
    stage: int
    learning_rate: float
    loss: float  # mean training loss
    validation_loss: float | None = None  # mean of clean and shifted, what the schedule goes by
    validation_clean: float | None = None
    validation_shifted: float | None = None
    accuracy: dict[str, float] = {}  # of clean validation stamps, a survey each
    accuracy_shifted: dict[str, float] = {}


class Training(BaseModel):
    """Metadata of a checkpoint."""

    plan: Plan
    history: list[EpochResult]


class ModelCard(BaseModel):
    """Metadata of a finished model."""

    recipe: Recipe
    plan: Plan
    best_epoch: int
    history: list[EpochResult]


State = dict[str, Tensor]


def state_copy(network: nn.Module) -> State:
    """Every parameter and buffer of the network, copied to the CPU in plain layout."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}


def save_checkpoint(
    folder: Path, training: Training, network: nn.Module, optimiser: Optimizer, best: State | None
) -> Path:
    """Write `checkpoint-<epoch>.safetensors` and drop those before the last two.

    Parameters
    ----------
    best : the best epoch's weights, or None where these are the network's own
    """
    tensors = {f"network.{name}": tensor for name, tensor in state_copy(network).items()}
    tensors |= {f"best.{name}": tensor for name, tensor in (best or {}).items()}
    for name, parameter in network.named_parameters():
        for part, tensor in optimiser.state.get(parameter, {}).items():
            tensors[f"adam.{part}.{name}"] = tensor.detach().cpu().contiguous().clone()
    path = folder / f"checkpoint-{len(training.history):03d}.safetensors"
    _save(path, tensors, training)
    for old in sorted(folder.glob("checkpoint-*.safetensors"))[:-_KEEP]:
        old.unlink()
    return path


def load_checkpoint(path: Path, plan: Plan, network: nn.Module, optimiser: Optimizer) -> tuple[Training, State]:
    """Put network and optimiser back where the checkpoint left them; give its metadata and the best weights.

    Raises
    ------
    WorkerDied
        The file is damaged, or it belongs to another plan.
    """
    tensors, text = _load(path)
    try:
        training = Training.model_validate_json(text)
    except ValidationError:
        raise WorkerDied(f"{path} is not a training checkpoint; remove it and run the same command again") from None
    differing = [key for key in Plan.model_fields if getattr(plan, key) != getattr(training.plan, key)]
    if differing:
        raise WorkerDied(f"{path} belongs to another plan ({', '.join(differing)} differ); remove it to begin again")
    try:
        network.load_state_dict(_under("network.", tensors))
        _load_adam(network, optimiser, tensors)
    except RuntimeError:  # names or shapes are others
        raise WorkerDied(
            f"{path} does not fit the recipe's network; remove it and run the same command again"
        ) from None
    return training, _under("best.", tensors) or state_copy(network)


def save_model(path: Path, weights: State, card: ModelCard) -> None:
    """Write a finished model with its recipe, plan and history."""
    _save(path, weights, card)


def read_model_card(path: Path) -> ModelCard:
    """The card of a finished model, without its weights.

    Raises
    ------
    WeightsError
        The file is missing, damaged, or not a model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return ModelCard.model_validate_json(_unsealed((file.metadata() or {}).get(_KEY, ""))[1])
    except (OSError, SafetensorError, ValidationError):
        raise _no_model(path) from None


def is_whole(path: Path) -> bool:
    """Whether a checkpoint or a model is what was written, by its own hash."""
    try:
        _load(path)
    except WorkerDied:
        return False
    return True


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
        raise _no_model(path) from None
    network = build_network(card.recipe.network, len(card.plan.classes))
    try:
        network.load_state_dict(tensors)
    except RuntimeError:  # names or shapes are others
        raise WeightsError(f"{path} does not hold the weights of the network it names; train the round again") from None
    return network.eval(), card


def _no_model(path: Path) -> WeightsError:
    return WeightsError(f"{path} is missing or is not a catbuilder model; train the round again")


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
    with written_whole(path) as temporary:
        save_file(tensors, temporary, metadata={_KEY: sealed(tensors, text)})
        temporary.chmod(0o644)  # safetensors lets nobody else read; a group shares its workspace


def _load(path: Path) -> tuple[State, str]:
    try:
        with safe_open(path, framework="pt") as file:
            digest, text = _unsealed((file.metadata() or {}).get(_KEY, ""))
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (OSError, SafetensorError):
        digest, tensors, text = "", {}, ""
    if digest != _digest(tensors, text):
        raise WorkerDied(f"{path} is missing or damaged; give the same command again to go on without it")
    return tensors, text


def sealed(tensors: Mapping[str, Tensor], text: str) -> str:
    """A story (a JSON object) with a first key `sha256`: of itself and of the tensors that it goes with."""
    return f'{{"sha256":"{_digest(tensors, text)}",{text[1:]}'


def _unsealed(text: str) -> tuple[str, str]:
    """The hash and the story that `sealed` put together; two empty texts where it did not."""
    found = re.match(r'\{"sha256":"([0-9a-f]{64})",', text)
    return (found[1], "{" + text[found.end() :]) if found else ("", "")


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """SHA-256 of a file's story and of every tensor's name, kind, shape and bytes."""
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
