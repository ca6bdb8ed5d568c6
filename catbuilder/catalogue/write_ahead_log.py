"""DuckDB's write-ahead log: a damaged one is set aside before DuckDB can drop it, and never deleted.

A log lies beside the catalogue only while a recording is written, or after one was cut short. DuckDB 2.0 refuses one
whose checksums fail, takes one that is cut off as if the rest had never been, and writes over one that is not a log at
all, both without a word. So who is about to write looks first, while nobody else can: a log that does not end where
an entry ends is copied. Whether anything recorded is lost is then told by `log.jsonl`, which is written after the
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

_log = logging.getLogger(__name__)
_HEADER_ENDS_WITHIN = 128  # bytes; it holds the catalogue's id and a number, and was 38 bytes long
_END = b"\xff\xff"  # of DuckDB's serialised objects, the header among them
_ENTRY = struct.Struct("<QQ")  # length and checksum, before each entry


def keep_if_cut_off(catalog: Path) -> None:
    """Before the catalogue is opened to write: copy a log that is cut off, or none at all, and say so."""
    log = wal_of(catalog)
    if not log.exists():
        return
    with nobody_else(catalog) as alone:
        if alone and is_cut_off(log):
            place = damaged_name(log)
            shutil.copyfile(log, place)
            _tell(place, "it is cut off")


def set_aside_refused(catalog: Path, reason: str) -> bool:
    """Rename a log that DuckDB refuses; whether there was one, and nobody else was at work."""
    log = wal_of(catalog)
    with nobody_else(catalog) as alone:
        if not alone or not log.exists():
            return False
        place = quarantine(log)
    _tell(place, reason)
    return True


def is_cut_off(log: Path) -> bool:
    """Whether a log is there and does not end where an entry ends; nobody may be writing to it."""
    return log.exists() and not _ends_with_an_entry(log)


def wal_of(catalog: Path) -> Path:
    """Where DuckDB keeps the write-ahead log of a catalogue."""
    return catalog.with_name(f"{catalog.name}.wal")


@contextmanager
def nobody_else(catalog: Path) -> Iterator[BinaryIO | None]:
    """Hold the lock that DuckDB takes, if it is free, and give the open file: no process can open it meanwhile.

    Only for a process that has not opened it itself: closing the file would let DuckDB's own lock go.
    """
    try:
        file = open(catalog, "r+b")  # noqa: SIM115 (closed below)
    except OSError:  # not ours to write to: nothing will be written over either
        yield None
        return
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file


def _tell(place: Path, reason: str) -> None:
    _log.warning(
        f"warning: the write-ahead log of the catalogue is damaged ({reason}) and is kept as {place}; "
        "a step that was in it and that log.jsonl does not list is done again"
    )


def _ends_with_an_entry(log: Path) -> bool:
    """Whether the log is a header and whole entries; an empty one holds nothing that could be lost."""
    with open(log, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(_HEADER_ENDS_WITHIN)
        starts = [at + 2 for at in range(len(head)) if head[at : at + 2] == _END]
        return size == 0 or any(_end_of_entries(file, start, size) == size for start in starts)


def _end_of_entries(file: BinaryIO, at: int, size: int) -> int:
    """Where the last entry ends that has a beginning."""
    while at + _ENTRY.size <= size:
        file.seek(at)
        at += _ENTRY.size + _ENTRY.unpack(file.read(_ENTRY.size))[0]
    return at
