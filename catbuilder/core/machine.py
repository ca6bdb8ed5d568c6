"""Measure the cores, memory, GPU and disk space that this process may use."""

import os
import shutil
from pathlib import Path

from catbuilder.core.errors import WorkspaceError


def usable_cores() -> int:
    """Count the cores this process may run on: a Slurm job or a container often has fewer than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_gpu() -> bool:
    """Whether a GPU driver is loaded. Looks at device files, since the coordinator never imports torch."""
    return any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))


def usable_memory() -> int:
    """Find the bytes of memory this process may use: the machine's, or the limit of its control group if smaller."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")  # cgroup v2; "max" where there is no limit
    text = limit.read_text().strip() if limit.is_file() else ""
    return min(memory, int(text)) if text.isdigit() else memory


def require_space(folder: Path, needed: int, what: str) -> None:
    """Check that `needed` bytes are free in `folder`.

    Raises
    ------
    WorkspaceError
        The disk has less free space.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise WorkspaceError(
            f"{what} need about {needed / 1e9:.1f} GB in {folder}, but {free / 1e9:.1f} GB are free; free some space, "
            "then give the same command again"
        )
