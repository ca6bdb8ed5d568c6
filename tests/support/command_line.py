"""Run `catbuilder` on one workspace: as a process that can be killed and watched, or in the test's own process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psutil
from support.forked_processes import ForkedProcess, forked_workers
from support.made_once import shared
from support.workers_here import workers_here
from support.workspaces import cli

CATBUILDER = str(Path(sys.executable).with_name("catbuilder"))


class CommandLine:
    """The command `catbuilder` on one workspace.

    A command that is to be killed, or has an environment of its own, is a process of the installed `catbuilder`, as
    is every one that `start` starts. Any other runs here by its `main`, which saves its imports; a round of several
    processes starts those all the same.
    """

    def __init__(self, workspace: Path, recipe: Path) -> None:
        self.workspace, self.recipe = workspace, recipe
        self.started: list[subprocess.Popen[str]] = []
        self.forked = shared()  # a script starts real commands

    def start(self, *arguments: object, np: int = 1, **environment: str) -> subprocess.Popen[str]:
        """Start a command and let it run."""
        kind = ForkedProcess if self.forked else subprocess.Popen
        with nullcontext() if np > 1 else on_one_core():
            process: subprocess.Popen[str] = kind(
                [CATBUILDER, "-w", str(self.workspace), *map(str, arguments)],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=hear_ctrl_c,
            )
        self.started.append(process)
        return process

    def __call__(self, *arguments: object, expect: int = 0, np: int = 1, **environment: str) -> str:
        """Run a command to its end; gives all it wrote, errors last."""
        if expect >= 0 and not any(environment.values()):
            with nullcontext() if np > 1 else on_one_core(), forked_workers() if np > 1 else workers_here():
                done = cli("-w", self.workspace, *arguments)
            assert done.code == expect, f"{arguments} ended with {done.code}:\n{done.out}{done.err}"
            return done.out + done.err
        process = self.start(*arguments, np=np, **environment)
        out, err = process.communicate(timeout=500)
        assert process.returncode == expect, f"{arguments} ended with {process.returncode}:\n{out}{err}"
        return out + err

    def round_arguments(self, np: int = 1, n: int = 1, seed: int = 0) -> tuple[object, ...]:
        return "round", "--n", n, "--recipe", self.recipe, "--np", np, "--seed", seed

    def round(self, np: int = 1, n: int = 1, seed: int = 0, expect: int = 0, **environment: str) -> str:
        """Run rounds with the recipe."""
        return self(*self.round_arguments(np, n, seed), expect=expect, np=np, **environment)

    def start_round(self, np: int = 1, n: int = 1, seed: int = 0, **environment: str) -> subprocess.Popen[str]:
        return self.start(*self.round_arguments(np, n, seed), np=np, **environment)

    def on(self, workspace: Path) -> "CommandLine":
        """The same in another workspace."""
        return CommandLine(workspace, self.recipe)

    def processes(self, module: str = "") -> list[psutil.Process]:
        """Living processes whose command line names the workspace, by default all, else those of a worker module."""
        found = []
        for process in psutil.process_iter():
            try:
                words = process.cmdline()
                ours = any(str(self.workspace) in word for word in words) and (not module or module in words)
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def stop(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()


def hear_ctrl_c() -> None:
    """A test run in the background of a shell has Ctrl-C ignored, and its children with it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def on_one_core() -> Iterator[None]:
    """Keep this thread, and the threads and processes that it starts, to one core for a while.

    One process of a round plans a thread a core, and threads that wait for a busy core make it many times slower. Those
    who run the tests side by side take the cores in turn, or one core would have all the work.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, [_own_core()])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _own_core() -> int:
    cores, runner = sorted(os.sched_getaffinity(0)), os.environ.get("PYTEST_XDIST_WORKER", "gw1")
    return cores[int(runner.removeprefix("gw")) % len(cores)]


def wait_for(condition: Callable[[], Any], timeout_s: float = 120.0, every_s: float = 0.005) -> Any:
    """The first true value that the condition gives."""
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {timeout_s:.0f} s in vain"
        time.sleep(every_s)
    return value
