"""The rehearsal of a survey runs from tiles to a catalogue, and says what the whole would take."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.needs import needs_horovod

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench" / "rehearse_survey.py"
TINY = (
    "network.backbone=test_efficientnet", "network.weights=none", "network.image_size=32", "network.hidden=16",
    "training.batch_size=32", "scoring.batch_size=32", "speaking.calibrate=false",
)  # fmt: skip


def rehearsed(*words: str) -> str:
    settings = [word for one in TINY for word in ("--set", one)]
    command = [sys.executable, str(SCRIPT), "--tiles", "2", "--side", "300", *words, *settings]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=390).stdout


@pytest.mark.slow
def test_two_small_tiles_become_a_catalogue() -> None:
    said = rehearsed("--nodes", "0")
    assert "stamps 52: " in said and "scores 2" in said
    assert "10,338 tiles, 300,000,000 objects:" in said and "assumed: as many sources a pixel as DES has" in said


@pytest.mark.slow
@needs_horovod
def test_they_do_on_a_cluster_of_two_nodes() -> None:
    said = rehearsed("--nodes", "2")
    assert " a second and node (2), recording included" in said and "sent for a round: " in said
