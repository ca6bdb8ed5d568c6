"""Handle Ctrl-C: the first stops the command at the next safe point, a second stops it at once.

Almost every point is safe: files appear complete or not at all, and an interrupted transaction is rolled back. Two
places wait for a safe point: a commit, and an epoch of training, until its checkpoint is written.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_waiting_for: list[str] = []  # safe points ahead, in words; the innermost last
_asked = False


def handle_interrupts() -> None:
    """Install the handler that lets Ctrl-C wait for safe points."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as a shell starts a background command
    if not ignored and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _on_interrupt)


def stop_requested() -> bool:
    """Whether Ctrl-C was pressed and waits for the safe point."""
    return _asked


@contextmanager
def defer_interrupts(until: str) -> Iterator[None]:
    """Let a first Ctrl-C wait until the end of the body, and print 'stopping <until>'."""
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
