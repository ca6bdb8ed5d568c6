"""Work in a process of its own: what sets the whole of an open catalogue, which all threads of a process share.

An export holds DuckDB to one thread and little memory, and a count locks the configuration. Both are settings of the
open file and not of a connection: in the server's own process they would hold for every page asked for meanwhile.
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

PATIENCE_S = 4.0  # then a page says that something else is under way, and asks again by itself
_few_at_once = BoundedSemaphore(2)


@contextmanager
def limited_slot(
    places: BoundedSemaphore = _few_at_once, taken: str = "two downloads, counts or queries are under way"
) -> Iterator[None]:
    """Hold one of the places while the body runs.

    By default those of exports, counts and queries, whatever is clicked: each has a process and memory of its own.

    Raises
    ------
    WorkspaceBusy
        None has become free for `PATIENCE_S`; the message says what has them.
    """
    if not places.acquire(timeout=PATIENCE_S):
        raise WorkspaceBusy(f"{taken}; ask again in a moment")
    try:
        yield
    finally:
        places.release()


def in_own_process(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """What a function of the library gives, or raises, called in a new process that does not outlive this one.

    Raises
    ------
    WorkspaceBusy
        As `limited_slot`.
    WorkerDied
        The process was killed, as the kernel does where memory runs out; the next call has a new one.
    """
    with (
        limited_slot(),
        ignore_interrupts(),  # Ctrl-C ends the server, and with it this
        # a fork would copy what other threads hold
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), end_with_parent, (os.getpid(),)) as pool,
    ):
        try:
            return pool.submit(work, *arguments, **options).result()
        except BrokenProcessPool:
            raise WorkerDied(
                "the process that worked on this was killed, as happens when memory runs out; narrow what you ask for, "
                "or end what else fills the machine's memory",
                killed=True,
            ) from None
