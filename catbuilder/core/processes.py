"""Tie a helper process to its coordinator: it dies with it, and never hears Ctrl-C."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

STARTER_VARIABLE = "CATBUILDER_STARTER"  # process id of the starter of this host, where the coordinator is elsewhere


def die_with(coordinator: int) -> None:
    """Ask the kernel to kill this process when its parent ends: the coordinator, or on another host its starter.

    After `kill -9` of a coordinator its ranks would train on and race the rerun. Linux only; elsewhere
    a worker notices at the end of an epoch at the latest, since nobody adopts what it writes.
    """
    try:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
    except (OSError, AttributeError):
        return
    if os.getppid() != int(os.environ.get(STARTER_VARIABLE, coordinator)):  # it ended before the kernel was asked
        os._exit(1)


@contextmanager
def ignore_interrupts() -> Iterator[None]:
    """Processes started in the body never hear Ctrl-C, from their first instruction on; ours is kept until after it.

    A terminal sends Ctrl-C to the whole group, and a helper that is still importing answers with a traceback.
    It needs no signal of its own: it ends with the pool or, by `die_with`, with its coordinator.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
