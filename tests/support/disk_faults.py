"""What goes wrong with disks, done for real: full and read-only file systems, bits flipped, files cut off."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")


def flip_a_bit(path: Path, at: float = 0.5) -> None:
    """Flip one bit, at a place given as a part of the file's length."""
    place = int(path.stat().st_size * at)
    with open(path, "r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 0x10]))


def cut_off(path: Path, part: float = 0.5) -> None:
    """Keep the first part of a file alone."""
    os.truncate(path, int(path.stat().st_size * part))


class SmallDisk:
    """A file system of its own in memory, which can be filled up and made read-only."""

    def __init__(self, path: Path) -> None:
        self.path, self._ballast = path, path / "ballast"

    def fill(self) -> None:
        """Leave not a byte."""
        with open(self._ballast, "wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue

    def make_room(self) -> None:
        self._ballast.unlink()

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.path)], check=True)


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[SmallDisk]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)], check=True)
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def stopped(pid: int) -> bool:
    """Whether a process stands at a fault point with `:hold`."""
    return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
