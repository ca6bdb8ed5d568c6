"""Ctrl-C: once, and the command stops at the next safe point; twice, and it stops at once.

Almost every point is safe, since files are whole or not there and a transaction that is cut short is rolled back. Two
are not where one would stop: in the midst of a commit, and in the midst of an epoch whose checkpoint is still to come.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_waiting_for: list[str] = []  # safe points that lie ahead, the innermost last
_asked = False


def listen() -> None:
    """Let Ctrl-C wait for safe points from now on."""
    deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as a shell starts what runs in the background
    if not deaf and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _on_interrupt)


def stop_asked() -> bool:
    """Whether Ctrl-C was given and is waiting for the safe point."""
    return _asked


@contextmanager
def held_off(until: str) -> Iterator[None]:
    """Let a first Ctrl-C wait until the body is over, and say so: 'stopping <until>'."""
    _waiting_for.append(until)
    try:
        yield
    finally:
        _waiting_for.pop()
    if _asked and not _waiting_for:
        raise KeyboardInterrupt


def _on_interrupt(number: int, frame: FrameType | None) -> None:
    global _asked
    if not _waiting_for or _asked:
        raise KeyboardInterrupt
    _asked = True
    print(f"\nstopping {_waiting_for[-1]} (Ctrl-C again to stop at once)", file=sys.stderr, flush=True)
