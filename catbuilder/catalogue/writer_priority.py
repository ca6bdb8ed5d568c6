"""Who may open the catalogue next: a writer that waits goes before readers that come after it.

DuckDB lets readers in side by side and a writer only alone, in no order: eight processes that query all the time kept a
round from recording its step for as long as they ran. So a waiting writer holds a lock of its own, and our readers let
it pass. Not for ever: where somebody else's reader (a notebook) keeps the writer waiting, queries go on after a moment.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_PASS_S = 3.0  # a reader waits so long at most; ours read for milliseconds, so that a writer finds its gap


@contextmanager
def announce_writer(catalog: Path) -> Iterator[None]:
    """Ask readers to let this writer pass, while the body waits for its gap; of several writers the first one asks."""
    with ExitStack() as held:
        with suppress(OSError):  # another writer asks already, or the folder is not ours to write to
            file = held.enter_context(open(_file(catalog), "a"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def wait_for_writers(catalog: Path) -> None:
    """Wait a moment if a writer waits; for whoever is about to read."""
    end = time.monotonic() + _PASS_S
    while _writer_waits(catalog) and time.monotonic() < end:
        time.sleep(0.02)


def _writer_waits(catalog: Path) -> bool:
    try:
        with open(_file(catalog)) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there was never a writer that had to wait, or the file is not ours to read
        return False
    return False


def _file(catalog: Path) -> Path:
    return catalog.with_name(f".{catalog.name}.turn")
