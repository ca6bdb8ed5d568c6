"""Create workspaces quickly: as copies of an empty one, since the 500 comments of a new catalogue take 0.3 s."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from support.made_once import made_once, shared

from catbuilder.catalogue import new_workspace
from catbuilder.catalogue.workspace import Workspace

CLASSES = ("elliptical", "spiral")


def create_workspace(path: Path, classes: Sequence[str] = CLASSES, stamp_size: int = 64) -> Workspace:
    """Copy an empty workspace that `catbuilder.catalogue.new_workspace` has made, one for all tests."""
    if not shared():
        return new_workspace.create_workspace(path, classes, stamp_size)
    name = "-".join(["empty", str(stamp_size), *classes])
    empty = made_once(name, lambda place: new_workspace.create_workspace(place, classes, stamp_size))
    assert not (path / "catbuilder.toml").exists(), f"{path} is a workspace already"
    shutil.copytree(empty, path, dirs_exist_ok=True)
    return Workspace.open(path)
