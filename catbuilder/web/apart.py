"""Work in a process of its own: what sets the whole of an open catalogue, which all threads of a process share.

An export holds DuckDB to one thread and little memory, and a count locks the configuration. Both are settings of the
open file and not of a connection: in the server's own process they would hold for every page asked for meanwhile.
"""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from threading import BoundedSemaphore
from typing import ParamSpec, TypeVar

from catbuilder.jobs import deaf_to_interrupts, die_with

P = ParamSpec("P")
T = TypeVar("T")

# Exports, counts and queries that run at once, whatever is clicked: each has a process and memory of its own.
few_at_once = BoundedSemaphore(2)


def apart(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """What a function of the library gives, or raises, called in a new process that does not outlive this one."""
    with (
        few_at_once,
        deaf_to_interrupts(),  # Ctrl-C ends the server, and with it this
        # a fork would copy what other threads hold
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), die_with, (os.getpid(),)) as pool,
    ):
        return pool.submit(work, *arguments, **options).result()
