"""The corpus in tests/cases: its folders, its kinds, and the workspace in which a case runs."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from support.made_once import made_once
from support.new_workspace import create_workspace
from support.workspaces import galaxy, write_csv

from catbuilder.catalogue.workspace import Workspace
from catbuilder.ingest.images import ingest_images

FOLDER = Path(__file__).parents[1] / "cases"
CASES = sorted(file.parent for file in FOLDER.glob("*/expected.toml"))
OBJECTS = range(1000, 1030)

KINDS = {
    "paths": "A name is a name, not a pattern",
    "columns": "Columns in any case, unused ones named",
    "rows": "Truncated and malformed rows",
    "answers": "Votes and answers of people",
    "units": "Units, ranges and frames",
    "values": "Values that a reader may clip or guess",
    "files": "Containers: gzip, headers, several tables, Unicode",
    "output": "What is printed and written",
    "tiles": "Coadd tiles and their masks",
    "firewall": "What the firewall reaches",
}
"""Kind of situation, and its title in docs/input.md."""


def read_case(case: Path) -> dict[str, Any]:
    """Read what a case expects."""
    return tomllib.loads((case / "expected.toml").read_text(encoding="utf-8"))


def case_workspace(path: Path, *, objects: bool) -> Workspace:
    """Make the workspace of a case: empty, or with images of the objects 1000 to 1029 of des.

    Object 1000 + i lies at right ascension 10.5 + i and declination -1 - i / 100 (degrees).
    """
    if not objects:
        return create_workspace(path, stamp_size=64)
    shutil.copytree(made_once("case-objects", _with_objects) / "w", path)
    return Workspace.open(path)


def _with_objects(path: Path) -> None:
    workspace = create_workspace(path / "w", stamp_size=64)
    images = path / "images"
    images.mkdir()
    rows = []
    for i, object_id in enumerate(OBJECTS):
        Image.fromarray(np.asarray(galaxy(object_id, 64))).save(images / f"g{i}.png")
        rows.append((object_id, f"g{i}.png", 10.5 + i, -1 - i / 100))
    table = write_csv(path / "base.csv", ["object_id", "file", "ra", "dec"], *rows)
    ingest_images(workspace, images, table, survey="des")
