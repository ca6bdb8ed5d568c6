"""Write files atomically and durably, lock them, and compute their checksums.

A file appears complete or not at all: it is written under a temporary name, synced (fsync), renamed, and the folder is
synced.
"""

import fcntl
import hashlib
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catbuilder.core.errors import WorkspaceBusy
from catbuilder.core.kill_points import fault_point


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; afterwards sync it and rename it to `path`.

    If the body raises, nothing appears under `path` and the temporary file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last, since some writers choose a format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    fault_point(f"{_called(path)}.begun")
    try:
        yield temporary
        fault_point(f"{_called(path)}.written")
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        fault_point(f"{_called(path)}.synced")
        atomic_move(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_move(found: Path, place: Path) -> None:
    """Rename a complete file to its final name, durably."""
    os.replace(found, place)
    fault_point(f"{_called(place)}.renamed")
    sync_folder(place.parent)
    fault_point(f"{_called(place)}.durable")


@contextmanager
def exclusive_lock(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file while the body runs.

    The kernel releases the lock when the process ends, however it ends, so a lock is never stale.

    Parameters
    ----------
    what : begins the error message of a second process, such as "a round is under way in ws"

    Raises
    ------
    WorkspaceBusy
        Another process holds the lock; the message names it.
    """
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise WorkspaceBusy(f"{what} ({holder}); wait for it to end, or stop it") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def quarantine(path: Path) -> Path:
    """Rename a damaged file or folder to `<name>.damaged-<n>` and give the new path. Nothing is deleted."""
    place = damaged_name(path)
    atomic_move(path, place)
    return place


def damaged_name(path: Path) -> Path:
    """Find the first free name `<name>.damaged-<n>`."""
    places = (path.with_name(f"{path.name}.damaged-{number}") for number in range(1, 10_000))
    return next(place for place in places if not place.exists())


def write_text(path: Path, text: str) -> None:
    """Write a small text file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def append_line(path: Path, line: str) -> None:
    """Append one line, and sync the file before returning."""
    with open(path, "ab+") as file:
        if file.tell():  # a line cut off by a crash must not swallow this one
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(line.encode() + b"\n")
        file.flush()
        fault_point(f"{path.name}.appended")
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_file(path: Path) -> str:
    """Compute the SHA-256 of a file, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_checksums(file: Path) -> dict[str, str]:
    """Read a list of checksums as `sha256sum` writes it: SHA-256 by file name."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _called(path: Path) -> str:
    """Name a file for fault points: with its round's number, and the same for every attempt."""
    rounds = [part for part in path.parts[:-1] if re.fullmatch(r"\d{3}", part)]
    return "/".join([*rounds, path.name])
