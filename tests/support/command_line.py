"""Run the installed `catbuilder` as a person would, and find the processes that it started."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from typer.main import get_command

from catbuilder.cli.main import app

CATBUILDER = str(Path(sys.executable).with_name("catbuilder"))


class CommandLine:
    """The installed `catbuilder`, run as a person would on one workspace."""

    def __init__(self, workspace: Path, recipe: Path) -> None:
        self.workspace, self.recipe = workspace, recipe
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: object, np: int = 1, **environment: str) -> subprocess.Popen[str]:
        """Start a command and let it run."""
        process = subprocess.Popen(
            [CATBUILDER, "-w", str(self.workspace), *map(str, arguments)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_hear_ctrl_c if np > 1 else _keep_to_one_core,
        )
        self.started.append(process)
        return process

    def __call__(self, *arguments: object, expect: int = 0, np: int = 1, **environment: str) -> str:
        """Run a command to its end; gives all it wrote, errors last."""
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
                alive = process.status() != psutil.STATUS_ZOMBIE
            except psutil.Error:
                continue
            if alive and any(str(self.workspace) in word for word in words) and (not module or module in words):
                found.append(process)
        return found

    def stop(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()


def _hear_ctrl_c() -> None:
    """A test run in the background of a shell has Ctrl-C ignored, and its children with it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _keep_to_one_core() -> None:
    """One process of a round plans a thread a core, and threads that wait for a busy core make it many times slower.

    Those who run the tests side by side take the cores in turn, or one core would have all the work.
    """
    _hear_ctrl_c()
    cores, runner = sorted(os.sched_getaffinity(0)), os.environ.get("PYTEST_XDIST_WORKER", "gw1")
    os.sched_setaffinity(0, [cores[int(runner.removeprefix("gw")) % len(cores)]])


def wait_for(condition: Callable[[], Any], timeout_s: float = 120.0, every_s: float = 0.005) -> Any:
    """The first true value that the condition gives."""
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {timeout_s:.0f} s in vain"
        time.sleep(every_s)
    return value


def parse(line: str) -> None:
    """Parse a command line as the shell and catbuilder would, and run nothing; raises on what does not exist."""
    words = shlex.split(line, comments=True)
    assert words.pop(0) == "catbuilder"
    command: Any = get_command(app)
    named = "catbuilder"
    while hasattr(command, "commands"):
        while words[0] in ("-w", "--workspace", "--memory-limit"):
            del words[:2]
        named = words.pop(0)
        command = command.commands[named]
    command.make_context(named, words)
