"""End a helper process together with the process that started it; keep Ctrl-C and stray modules from it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

# Environment variable with the process id of a worker's parent (`launch/attendant`), if the coordinator is elsewhere.
PARENT_VARIABLE = "CATBUILDER_PARENT"


def end_with_parent(coordinator: int) -> None:
    """Ask the kernel to kill this process when its parent ends.

    The parent is the coordinator, or the attendant on a node of a cluster. Without this, after `kill -9` of a
    coordinator its ranks would go on training and compete with the rerun. Linux only: elsewhere this does nothing.

    Parameters
    ----------
    coordinator : process id that the parent must have; if the parent has ended already, this process exits at once
    """
    try:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
    except (OSError, AttributeError):
        return
    if os.getppid() != int(os.environ.get(PARENT_VARIABLE, coordinator)):  # it ended before the kernel was asked
        os._exit(1)


@contextmanager
def ignore_interrupts() -> Iterator[None]:
    """Start processes in the body that ignore Ctrl-C; deliver our own Ctrl-C after the body.

    A terminal sends Ctrl-C to the whole process group, and a helper that is still importing would print a traceback.
    A helper needs no signal of its own: it ends with the pool or, by `end_with_parent`, with its coordinator. Nor does
    it import from the current folder, where a file of the user may have the name of a library (PYTHONSAFEPATH).
    """
    safe = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if safe is None:
            os.environ.pop("PYTHONSAFEPATH", None)
        else:
            os.environ["PYTHONSAFEPATH"] = safe
