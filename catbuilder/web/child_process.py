"""Run exports and counts in a separate process, so that their DuckDB settings do not affect other pages.

An export limits DuckDB to one thread and little memory, and a count locks the configuration. DuckDB keeps such settings
for the open file, not for a connection: in the server's process they would apply to every other page meanwhile.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import ParamSpec, TypeVar

from catbuilder.core.errors import WorkerDied, WorkspaceBusy
from catbuilder.core.processes import end_with_parent, ignore_interrupts

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_S = 4.0  # seconds to wait; after that a page says what is running, and reloads itself
_few_at_once = BoundedSemaphore(2)


@contextmanager
def limited_slot(
    places: BoundedSemaphore = _few_at_once, taken: str = "two downloads, counts or queries are running"
) -> Iterator[None]:
    """Hold one of the places while the body runs.

    By default at most two exports, counts and queries run at once, since each needs its own process and memory.

    Raises
    ------
    WorkspaceBusy
        No place became free within `PATIENCE_S`; the message says what holds them.
    """
    if not places.acquire(timeout=PATIENCE_S):
        raise WorkspaceBusy(f"{taken}; try again in a moment")
    try:
        yield
    finally:
        places.release()


def in_own_process(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call a function in a new process, which ends with this one; return or raise what it does.

    Raises
    ------
    WorkspaceBusy
        As `limited_slot`.
    WorkerDied
        The process was killed, for example for lack of memory; the next call starts a new one.
    """
    with (
        limited_slot(),
        ignore_interrupts(),  # Ctrl-C ends the server, which ends this process
        # a fork would copy the locks of other threads
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), end_with_parent, (os.getpid(),)) as pool,
    ):
        try:
            return pool.submit(work, *arguments, **options).result()
        except BrokenProcessPool:
            raise WorkerDied(
                "the process of this request was killed, probably because memory ran out; request fewer objects, or "
                "free memory on this machine",
                killed=True,
            ) from None
