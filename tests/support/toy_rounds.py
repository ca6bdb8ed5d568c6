"""A survey of blobs and bars with a pool to be labelled: images as tables name them, and rounds that take seconds."""

import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from support.command_line import CommandLine
from support.contents import rows
from support.new_workspace import create_workspace
from support.small_survey import Source, bring_in
from support.toy_survey import SIZE

from catbuilder.catalogue.workspace import Workspace
from catbuilder.inspection.check import check

CLASSES = ("elliptical", "spiral")
POOL = 300_000  # first id
# survey, first id, how many, and what for
SETS = (("sdss", 100_000, 240, "train"), ("des", 200_000, 500, "calibration"), ("des", POOL, 500, "pool"))

RECIPE = f"""
name = "toy"
[network]
backbone = "test_efficientnet"
weights = "none"
image_size = {SIZE}
hidden = 16
dropout = 0.2
[training]
batch_size = 16
learning_rate = 5e-3
warmup_epochs = 0
scale_rate = false
channels_last = false
tries = 1
[[training.stages]]
epochs = 4
train_from = "all"
cosine = true
[augmentation]
rotation_degrees = 180.0
shift = 0.05
zoom = 0.0
[validation]
fraction = 0.1
[promotion]
policy = "top_k"
per_class = 60
[certificate]
alpha = 0.15
rounds = 3
audit = 8
"""
CERTIFIED = ("--set", "promotion.policy=certified")
# the surest predictions of earlier models teach, and the mean of the networks of all rounds speaks
TEACHING = ("--set", "teaching.surest=0.4", "--set", "speaking.model=mean")


@dataclass(frozen=True)
class Toy:
    """The survey in a workspace, its recipe, and what its DES objects really are."""

    command: CommandLine
    truth: Mapping[int, str]

    @property
    def workspace(self) -> Path:
        return self.command.workspace

    def on(self, workspace: Path) -> "Toy":
        """The same in a copy of the workspace."""
        return Toy(self.command.on(workspace), self.truth)

    def begin(self, folder: Path) -> None:
        """Run a first round in a copy below `folder`: nothing teaches yet, and 120 labels are promoted."""
        self.on(shutil.copytree(self.workspace, folder / "ws")).round(*TEACHING)

    def round(self, *changes: str, n: int = 1, fault: str = "") -> str:
        """Run rounds, with changes of the recipe; killed at a fault point, if one is named."""
        expect = -signal.SIGKILL if fault else 0
        return self.command(*self.command.round_arguments(n=n), *changes, expect=expect, CATBUILDER_FAULT=fault)

    def faults(self) -> dict[str, int]:
        """What `check` finds, and how often."""
        return {finding.check: finding.count for finding in check(Workspace.open(self.workspace)) if finding.count}

    def promoted(self, number: int) -> dict[int, str]:
        """Labels that a round promoted, by object."""
        text = "SELECT object_id, label FROM labels WHERE source = 'promoted' AND kind = 'label' AND round = ?"
        return dict(rows(self.workspace, text, [number]))

    def standing(self) -> dict[int, str]:
        """Promoted labels that stand, by object."""
        text = "SELECT object_id, label FROM standing_labels_at() WHERE source = 'promoted'"
        return dict(rows(self.workspace, text))


def toy_galaxies(seed: int, n: int) -> tuple[list[str], np.ndarray]:
    """Round ones and long ones, half and half; a tenth of either has a shape in between, which tells nothing.

    Gives the classes and uint8 stamps (n, SIZE, SIZE, 3).
    """
    rng = np.random.default_rng(seed)
    kinds = toy_kinds(n)
    spiral = np.array(kinds) == "spiral"
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    angle = rng.uniform(0, np.pi, n)[:, None, None]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    typical = np.where(rng.random(n) < 0.1, 0.65, np.where(spiral, 1.1, 0.2))
    length = np.exp(rng.normal(typical, 0.12))[:, None, None]
    light = 170 * np.exp(-(along**2 + (across * length) ** 2) / rng.uniform(40, 80, n)[:, None, None])
    pixels = light[..., None] * [1.0, 0.8, 0.6] + rng.normal(20, 4, (n, SIZE, SIZE, 3))
    return kinds, pixels.clip(0, 255).astype(np.uint8)


def toy_kinds(n: int) -> list[str]:
    """Classes of the first n galaxies."""
    return [CLASSES[i % 2] for i in range(n)]


def toy_at(folder: Path) -> Toy:
    """What `build_toy` has made there."""
    truth = {first + i: kind for _, first, n, _ in SETS for i, kind in enumerate(toy_kinds(n))}
    return Toy(CommandLine(folder / "ws", folder / "toy.toml"), truth)


def build_toy(folder: Path) -> None:
    """SDSS galaxies to train on, DES ones to calibrate with and a DES pool, each with a place of its own."""
    workspace = create_workspace(folder / "ws", CLASSES, SIZE)
    (folder / "toy.toml").write_text(RECIPE)
    for place, (survey, first, n, split) in enumerate(SETS):
        kinds, stamps = toy_galaxies(place, n)
        sources = [
            Source(first + i, 20.0 + i / 4, -10.0 * place, "" if split == "pool" else kind, "in", split)
            for i, kind in enumerate(kinds)
        ]
        bring_in(workspace, folder / split, survey, list(zip(sources, stamps, strict=True)))
