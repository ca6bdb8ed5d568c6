"""Give a waiting writer priority over readers that come after it.

DuckDB opens the catalogue for several readers or for one writer, in no order: eight processes that queried all the time
kept a round from recording its step for as long as they ran. So a waiting writer holds a lock file, and new readers
wait for a moment. Only for a moment: if another reader, such as a notebook, keeps the writer waiting, queries continue.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_PASS_S = 3.0  # longest wait of a reader; our reads take milliseconds, so that a writer soon finds a gap


@contextmanager
def announce_writer(catalog: Path) -> Iterator[None]:
    """Hold the lock file that makes new readers wait, while the body waits; of several writers the first holds it."""
    with ExitStack() as held:
        with suppress(OSError):  # another writer holds it, or we may not write to the folder
            file = held.enter_context(open(_file(catalog), "a"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def wait_for_writers(catalog: Path) -> None:
    """Wait a moment if a writer waits; call it before opening for reading."""
    end = time.monotonic() + _PASS_S
    while _writer_waits(catalog) and time.monotonic() < end:
        time.sleep(0.02)


def _writer_waits(catalog: Path) -> bool:
    try:
        with open(_file(catalog)) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no writer has ever waited, or we may not read the file
        return False
    return False


def _file(catalog: Path) -> Path:
    return catalog.with_name(f".{catalog.name}.turn")
