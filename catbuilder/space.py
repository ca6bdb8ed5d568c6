"""Whether the disk has room for what is about to be written: asked before, since afterwards it is too late."""

import shutil
from pathlib import Path

from catbuilder.core.errors import WorkspaceError


def require_space(folder: Path, needed: int, what: str) -> None:
    """Make sure that `needed` bytes can be written below `folder`.

    Raises
    ------
    WorkspaceError
        They cannot.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise WorkspaceError(
            f"{what} need about {needed / 1e9:.1f} GB in {folder}, where {free / 1e9:.1f} GB are free; make room, "
            "then give the same command again"
        )
