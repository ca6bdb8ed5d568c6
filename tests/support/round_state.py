"""How far a round has come: its recorded steps, its attempts' logs and its models."""

import json
from pathlib import Path

from support.command_line import CommandLine
from support.contents import rows


def last_steps(catbuilder: CommandLine) -> list[str]:
    return [step for (step,) in rows(catbuilder.workspace, "SELECT step FROM steps ORDER BY run")]


def epoch_begun(workspace: Path, epoch: int, attempt: int = 1) -> bool:
    """Whether an attempt at training has made its first step of an epoch (counted from 0)."""
    for log in workspace.glob(f"rounds/001/attempts/train-{attempt:02d}/train.jsonl"):
        for line in log.read_text().splitlines(keepends=True):
            if line.endswith("\n") and (event := json.loads(line))["event"] == "step" and event["epoch"] == epoch:
                return True
    return False


def models(workspace: Path) -> list[Path]:
    return [*workspace.glob("rounds/001/attempts/*/model.safetensors"), *workspace.glob("rounds/001/model.safetensors")]
