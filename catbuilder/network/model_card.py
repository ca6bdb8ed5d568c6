"""What stands beside the tensors of a checkpoint or a model, and whether a file is what was written: without torch.

The coordinator adopts files that workers have left, and would wait three seconds for torch and timm to tell that a
file is whole. `checkpoint` writes these files and reads their tensors.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, deserialize, safe_open

from catbuilder.core.errors import WeightsError
from catbuilder.core.recipe import Recipe

METADATA_KEY = "catbuilder"
# Kinds of tensors by safetensors' names, as torch writes them; a file that holds another kind is none of ours
_KINDS = {
    "F64": "torch.float64", "F32": "torch.float32", "F16": "torch.float16", "BF16": "torch.bfloat16",
    "I64": "torch.int64", "I32": "torch.int32", "I16": "torch.int16", "I8": "torch.int8", "U8": "torch.uint8",
    "BOOL": "torch.bool",
}  # fmt: skip


class CardPlan(BaseModel):
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


class TrainingSummary(BaseModel):
    """Metadata of a checkpoint."""

    plan: CardPlan
    history: list[EpochResult]


class ModelCard(BaseModel):
    """Metadata of a finished model."""

    recipe: Recipe
    plan: CardPlan
    best_epoch: int
    history: list[EpochResult]


class RawTensor(NamedTuple):
    """A tensor as its file holds it."""

    name: str
    kind: str  # as torch writes it: torch.float32
    shape: tuple[int, ...]
    data: bytes | memoryview


def read_model_card(path: Path) -> ModelCard:
    """The card of a finished model, without its weights.

    Raises
    ------
    WeightsError
        The file is missing, damaged, or not a model.
    """
    try:
        return ModelCard.model_validate_json(_story(path)[1])
    except (OSError, SafetensorError, ValidationError):
        raise no_model(path) from None


def is_whole(path: Path) -> bool:
    """Whether a checkpoint or a model is what was written, by its own hash."""
    try:
        digest, text = _story(path)
        # no more than the file is in memory twice: 1.6 GB for the largest checkpoint of a shipped recipe
        tensors = [
            RawTensor(name, _KINDS.get(found["dtype"], ""), tuple(found["shape"]), found["data"])
            for name, found in deserialize(path.read_bytes())
        ]
    except (OSError, SafetensorError):
        return False
    return bool(digest) and digest == digest_of(tensors, text)


def no_model(path: Path) -> WeightsError:
    """What to say of a file that is missing or no model."""
    return WeightsError(f"{path} is missing or is not a catbuilder model; train the round again")


def digest_of(tensors: Iterable[RawTensor], text: str) -> str:
    """SHA-256 of a file's story and of every tensor's name, kind, shape and bytes."""
    found = hashlib.sha256(text.encode())
    for name, kind, shape, data in sorted(tensors, key=lambda tensor: tensor.name):
        found.update(f"{name} {kind} {shape}".encode())
        found.update(data)
    return found.hexdigest()


def unsealed(text: str) -> tuple[str, str]:
    """The hash and the story that `checkpoint.sealed` put together; two empty texts where it did not."""
    found = re.match(r'\{"sha256":"([0-9a-f]{64})",', text)
    return (found[1], "{" + text[found.end() :]) if found else ("", "")


def _story(path: Path) -> tuple[str, str]:
    with safe_open(path, framework="np") as file:
        return unsealed((file.metadata() or {}).get(METADATA_KEY, ""))
