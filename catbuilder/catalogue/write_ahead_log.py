"""Keep a copy of a damaged DuckDB write-ahead log before DuckDB can overwrite it.

A log exists beside the catalogue only while a recording is written, or after one was interrupted. DuckDB 2.0 rejects a
log with a wrong checksum. It silently applies the beginning of a truncated log, and silently overwrites a file that is
not a log. So before a catalogue is opened for writing, while no other process can open it, a log that does not end at
the end of an entry is copied. Whether anything recorded is lost is known from `log.jsonl`, which is written after the
catalogue's own file.
"""

import fcntl
import logging
import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from catbuilder.core.files import damaged_name, quarantine

_HEADER_ENDS_WITHIN = 128  # bytes; it holds the catalogue's id and a number, and has 38 bytes in DuckDB 2.0
_END = b"\xff\xff"  # ends each of DuckDB's serialised objects, the header included
_log = logging.getLogger(__name__)
_ENTRY = struct.Struct("<QQ")  # length and checksum, before each entry


def keep_copy_if_truncated(catalog: Path) -> None:
    """Copy a log that is truncated, or not a log, and print a warning; call it before opening for writing."""
    log = wal_file(catalog)
    if not log.exists():
        return
    with exclusive_access(catalog) as alone:
        if alone and is_truncated(log):
            place = damaged_name(log)
            shutil.copyfile(log, place)
            _warn(place, "it is cut off")


def quarantine_refused_log(catalog: Path, reason: str) -> bool:
    """Rename a log that DuckDB rejects; False if there is none, or another process uses the catalogue."""
    log = wal_file(catalog)
    with exclusive_access(catalog) as alone:
        if not alone or not log.exists():
            return False
        place = quarantine(log)
    _warn(place, reason)
    return True


def is_truncated(log: Path) -> bool:
    """Whether there is a log that does not end at the end of an entry; no process may be writing to it."""
    return log.exists() and not _ends_with_an_entry(log)


def wal_file(catalog: Path) -> Path:
    """Give the path of a catalogue's write-ahead log."""
    return catalog.with_name(f"{catalog.name}.wal")


@contextmanager
def exclusive_access(catalog: Path) -> Iterator[BinaryIO | None]:
    """Take DuckDB's lock on the catalogue, so that no process can open it, and yield the open file; None if in use.

    Only for a process that has not opened the catalogue itself: closing the file would release DuckDB's own lock.
    """
    try:
        file = open(catalog, "r+b")  # noqa: SIM115 (closed below)
    except OSError:  # we may not write to it, so nothing will be overwritten either
        yield None
        return
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file


def _warn(place: Path, reason: str) -> None:
    _log.warning(
        f"warning: the write-ahead log of the catalogue is damaged ({reason}) and is kept as {place}; "
        "a step that it held and that log.jsonl does not list is done again"
    )


def _ends_with_an_entry(log: Path) -> bool:
    """Whether the log is a header and complete entries, or empty: then nothing can be lost."""
    with open(log, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(_HEADER_ENDS_WITHIN)
        starts = [at + 2 for at in range(len(head)) if head[at : at + 2] == _END]
        return size == 0 or any(_end_of_entries(file, start, size) == size for start in starts)


def _end_of_entries(file: BinaryIO, at: int, size: int) -> int:
    """Find where the last entry that has begun should end."""
    while at + _ENTRY.size <= size:
        file.seek(at)
        at += _ENTRY.size + _ENTRY.unpack(file.read(_ENTRY.size))[0]
    return at
