"""Compare what two catalogues say, to the last bit."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.catalogue_reading import reading
from support.command_line import CommandLine

from catbuilder.catalogue.workspace import Workspace

MadeOnce = Callable[[str, Callable[[Path], object]], Path]


def rows(workspace: Workspace | Path, sql: str, parameters: list[object] | None = None) -> list[tuple[Any, ...]]:
    """What a query gives, floats as their exact hexadecimal text, so that equal means equal to the last bit."""
    if isinstance(workspace, Path):
        workspace = Workspace.open(workspace)
    with reading(workspace) as con:
        found = con.execute(sql, parameters or []).fetchall()
    return [tuple(value.hex() if isinstance(value, float) else value for value in row) for row in found]


def contents(workspace: Workspace | Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that rounds have made, without times and recording numbers."""
    queries = {
        "standing labels": "SELECT * FROM standing_labels_at() ORDER BY survey, object_id",
        "label events": "SELECT * EXCLUDE (run, recorded_at) FROM labels ORDER BY event",
        "predictions": "SELECT * EXCLUDE (run) FROM predictions ORDER BY model, survey, object_id",
        "metrics": "SELECT * EXCLUDE (run) FROM metrics ORDER BY ALL",
        "training": "SELECT * EXCLUDE (run) FROM training ORDER BY ALL",
        "steps": "SELECT round, step, details FROM steps ORDER BY run",
        "models": "SELECT model, sha256, epochs, best_epoch, validation_loss FROM models ORDER BY model",
        "exclusions": "SELECT * EXCLUDE (run) FROM exclusions ORDER BY ALL",
    }
    return {name: rows(workspace, sql) for name, sql in queries.items()}


def assert_same_contents(workspace: Workspace | Path, expected: dict[str, list[tuple[Any, ...]]]) -> None:
    found = contents(workspace)
    for name, there in expected.items():
        assert found[name] == there, f"{name} differ"


def after_round(workspace: Path, place: Path, recipe: Path, np: int = 1) -> None:
    """A copy of a workspace at `place`, after one more round."""
    command = CommandLine(Path(shutil.copytree(workspace, place)), recipe)
    try:
        command.round(np=np)
    finally:
        command.stop()
