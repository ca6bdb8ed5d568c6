"""What this machine lends us."""

import os
import shutil
from pathlib import Path

from catbuilder.core.errors import WorkspaceError


def usable_cores() -> int:
    """Cores this process may run on: a Slurm job or a container often has fewer than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_gpu() -> bool:
    """Whether a driver of a graphics card is loaded: asked without torch, which the coordinator never loads."""
    return any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))


def usable_memory() -> int:
    """Bytes of memory this process may use: the machine's, or its control group's where that is less."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")  # cgroup v2; "max" where there is no limit
    text = limit.read_text().strip() if limit.is_file() else ""
    return min(memory, int(text)) if text.isdigit() else memory


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
