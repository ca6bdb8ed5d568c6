"""Map a function over independent pieces of work: in processes of this machine, or as tasks on a Ray cluster.

Results come in the order of the pieces and are the same either way. Only the caller records anything, so that work
which was under way when it ended is done again by the same command.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from catbuilder.core.cluster import current_cluster
from catbuilder.core.errors import WorkerDied
from catbuilder.core.files import atomic_write
from catbuilder.core.machine import usable_cores
from catbuilder.core.processes import end_with_parent, ignore_interrupts

Piece = TypeVar("Piece")
Result = TypeVar("Result")

_AHEAD = 4  # pieces per process: finished results must not pile up while the caller records


class Place:
    """Where a task finds the files that it reads, and writes others; on this machine, under their own paths."""

    def find(self, path: str) -> str:
        """Give the path of a file here, by the one that the caller knows."""
        return path

    def write(self, path: Path, content: bytes, durable: bool = True) -> None:
        """Write a file whose path the caller knows."""
        if not durable:
            path.write_bytes(content)
            return
        with atomic_write(path) as temporary:
            temporary.write_bytes(content)


@dataclass(frozen=True)
class Task(Generic[Piece, Result]):
    """What is done with every piece.

    Attributes
    ----------
    run : a function of a module, called with a piece and the `Place` where it runs
    reads : lists the files that a piece needs
    writes : folder below which it writes, if it writes any
    doing : what a process does, for messages: "cuts stamps"
    """

    run: Callable[[Piece, Place], Result]
    doing: str
    reads: Callable[[Piece], Iterable[str]] = lambda _: ()
    writes: Path | None = None


def map_tasks(task: Task[Piece, Result], pieces: Sequence[Piece], processes: int | None = None) -> Generator[Result]:
    """Yield the result of each piece, in order; close the generator to stop early.

    Parameters
    ----------
    processes : the most processes of this machine, by default one a core; one is this process, also with a cluster

    Raises
    ------
    WorkerDied
        A process was killed.
    LaunchError, HostLost
        The cluster cannot be used, or its nodes were lost again and again.
    """
    if (cluster := current_cluster()) and pieces and processes != 1:
        from catbuilder.core.remote_tasks import map_on_cluster

        yield from map_on_cluster(cluster, task, pieces)
        return
    processes = min(processes or usable_cores(), len(pieces))
    if processes <= 1:
        for piece in pieces:
            yield task.run(piece, Place())
        return
    ahead: deque[Future[Result]] = deque()
    # Spawned, not forked: a fork copies the locks of threads (of DuckDB and torch) without the threads.
    with ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=end_with_parent, initargs=(os.getpid(),)
    ) as pool:
        try:
            for piece in pieces:
                with ignore_interrupts():
                    ahead.append(pool.submit(task.run, piece, Place()))
                if len(ahead) >= _AHEAD * processes:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        except BrokenProcessPool:
            raise WorkerDied(
                f"a process that {task.doing} was killed, often because memory ran out; give the same command again: "
                "it goes on after what was recorded"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
