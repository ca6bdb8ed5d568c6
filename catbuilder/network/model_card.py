"""Read and verify the metadata of checkpoints and models without importing torch.

The coordinator verifies files that workers have written; importing torch and timm for that would take three seconds.
`checkpoint` writes these files and reads their tensors.
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
# torch's names of tensor types by safetensors' names; our files contain no other types
_KINDS = {
    "F64": "torch.float64", "F32": "torch.float32", "F16": "torch.float16", "BF16": "torch.bfloat16",
    "I64": "torch.int64", "I32": "torch.int32", "I16": "torch.int16", "I8": "torch.int8", "U8": "torch.uint8",
    "BOOL": "torch.bool",
}  # fmt: skip


class CardPlan(BaseModel):
    """What must agree before training may resume from a checkpoint."""

    model_config = ConfigDict(frozen=True)

    recipe_sha256: str
    manifest_sha256: str
    classes: tuple[str, ...]
    seed: int
    round: int
    ranks: int
    threads: int


class EpochResult(BaseModel):
    """Results of one epoch in the training history, without times: equal trainings have equal histories."""

    epoch: int
    stage: int
    learning_rate: float
    loss: float  # mean training loss
    validation_loss: float | None = None  # mean of clean and shifted; the schedule uses it
    validation_clean: float | None = None
    validation_shifted: float | None = None
    accuracy: dict[str, float] = {}  # of clean validation stamps, by survey
    accuracy_shifted: dict[str, float] = {}
    recall: dict[str, float] = {}  # of clean validation stamps, by class

    @property
    def has_collapsed(self) -> bool:
        """Whether the network tells the classes hardly better than chance, as one that answers one class for all.

        The mean recall of the classes must be above chance by a tenth of what lies between chance and certainty.
        """
        chance = 1 / max(1, len(self.recall))
        return len(self.recall) > 1 and sum(self.recall.values()) * chance < chance + 0.1 * (1 - chance)


class TrainingSummary(BaseModel):
    """Metadata of a checkpoint: plan and history."""

    plan: CardPlan
    history: list[EpochResult]


class ModelCard(BaseModel):
    """Metadata of a finished model: recipe, plan and history."""

    recipe: Recipe
    plan: CardPlan
    best_epoch: int
    history: list[EpochResult]


class RawTensor(NamedTuple):
    """A tensor as raw bytes, as it is stored in a file."""

    name: str
    kind: str  # as torch writes it: torch.float32
    shape: tuple[int, ...]
    data: bytes | memoryview


def read_model_card(path: Path) -> ModelCard:
    """Read the metadata of a finished model, without its weights.

    Raises
    ------
    WeightsError
        The file is missing, damaged, or not a model.
    """
    try:
        return ModelCard.model_validate_json(_metadata(path)[1])
    except (OSError, SafetensorError, ValidationError):
        raise not_a_model(path) from None


def is_whole(path: Path) -> bool:
    """Whether a checkpoint or a model is undamaged, by its own checksum."""
    try:
        digest, text = _metadata(path)
        # holds the file in memory twice: 1.6 GB for the largest checkpoint of a shipped recipe
        tensors = [
            RawTensor(name, _KINDS.get(found["dtype"], ""), tuple(found["shape"]), found["data"])
            for name, found in deserialize(path.read_bytes())
        ]
    except (OSError, SafetensorError):
        return False
    return bool(digest) and digest == content_sha256(tensors, text)


def not_a_model(path: Path) -> WeightsError:
    """Make the error for a file that is missing or not a model."""
    return WeightsError(f"{path} is missing or is not a catbuilder model; train the round again")


def content_sha256(tensors: Iterable[RawTensor], text: str) -> str:
    """Compute the SHA-256 of a file's metadata and of every tensor's name, type, shape and bytes."""
    found = hashlib.sha256(text.encode())
    for name, kind, shape, data in sorted(tensors, key=lambda tensor: tensor.name):
        found.update(f"{name} {kind} {shape}".encode())
        found.update(data)
    return found.hexdigest()


def split_checksum(text: str) -> tuple[str, str]:
    """Split what `checkpoint.with_checksum` made into checksum and metadata; give two empty texts for anything else."""
    found = re.match(r'\{"sha256":"([0-9a-f]{64})",', text)
    return (found[1], "{" + text[found.end() :]) if found else ("", "")


def _metadata(path: Path) -> tuple[str, str]:
    with safe_open(path, framework="np") as file:
        return split_checksum((file.metadata() or {}).get(METADATA_KEY, ""))
