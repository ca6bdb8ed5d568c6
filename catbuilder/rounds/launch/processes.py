"""Start worker processes on this machine, watch them, and stop them all when one fails or the caller ends.

All are children of the main thread of the caller, so the kernel ends them with it (`core.processes.end_with_parent`).
On the nodes of a cluster other processes do this (see `cluster`).
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from catbuilder.core.errors import LaunchError, WorkerDied
from catbuilder.core.machine import usable_cores
from catbuilder.core.processes import ignore_interrupts
from catbuilder.network.jobs import ScoreJob, TrainJob

_POLL_S = 0.05
_MOST_PER_CORE = 4  # processes; 64 on two cores filled 24 GiB before the first step of a training


@dataclass(frozen=True)
class Worker:
    """One process to start: `python -m <module> <job>`, its log file and its environment variables."""

    module: str
    job: Path
    log: Path
    environment: Mapping[str, str]
    order: TrainJob | ScoreJob | None = None  # what the file `job` says, for nodes that do not see it


def threads_for(ranks: int) -> int:
    """Compute the threads of each rank on this machine, at least 1.

    Horovod does not set them, and two ranks with two threads each on two cores ran 2.4 to 4 times slower.
    """
    return max(1, usable_cores() // ranks)


def require_cores(ranks: int) -> None:
    """Raise LaunchError if this machine has far too few cores for so many processes."""
    cores = usable_cores()
    if ranks > _MOST_PER_CORE * cores:
        raise LaunchError(
            f"{ranks} processes are too many for {cores} cores ({_MOST_PER_CORE * cores} at most): they would wait for "
            f"each other and fill the memory; give --np {cores} (for an unfinished round with --replan), or other "
            "machines by --cluster"
        )


def run_all(workers: Sequence[Worker], watch: Callable[[], None], restarts: int = 0) -> None:
    """Run processes side by side until all have succeeded; if one fails, all are stopped.

    Parameters
    ----------
    restarts : how often processes that died are started again, alone, before a failure stops the others; only for
        processes that do not talk to each other

    Raises
    ------
    WorkerDied
        A process failed, and no restart is left.
    """
    running: list[subprocess.Popen[bytes]] = []
    try:
        running = [start_worker(worker) for worker in workers]
        while any([process.poll() != 0 for process in running]):  # a list: every process is asked
            for number in _failed(running):
                # a refusal (exit code 1) would only be repeated; a killed process may have been unlucky
                code = running[number].returncode
                if restarts == 0 or code == 1:
                    raise WorkerDied(failure_message(workers[number], code), code < 0)
                restarts -= 1
                running[number] = start_worker(workers[number])
            watch()
            time.sleep(_POLL_S)
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()  # workers write files atomically: nothing to clean up
        for process in running:
            process.wait()


def _failed(running: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    """List the numbers of failed processes, killed ones (negative codes) first: others often failed because of them."""
    failed = [(process.returncode, number) for number, process in enumerate(running) if process.returncode]
    return [number for _, number in sorted(failed)]


def start_worker(worker: Worker) -> subprocess.Popen[bytes]:
    """Start the process of a worker, as a child of the thread that calls this."""
    with open(worker.log, "wb") as log, ignore_interrupts():  # the coordinator handles Ctrl-C
        return subprocess.Popen(
            [sys.executable, "-P", "-m", worker.module, str(worker.job)],
            env={**os.environ, **worker.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def thread_settings(threads: int) -> dict[str, str]:
    """Return the environment variables that set a process's number of threads."""
    # OpenMP reads these before torch can set them. PASSIVE: threads that spin while they wait for a busy core made one
    # process with two threads up to twenty times slower on a loaded machine.
    return {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}


def failure_message(worker: Worker, code: int) -> str:
    """Say in a sentence how a worker failed, and what to do."""
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    lines = [line for line in worker.log.read_text(errors="replace").splitlines() if line.strip()]
    last = f": {lines[-1].removeprefix('Error: ')}" if lines and code > 0 else ""
    return (
        f"a worker of {worker.module.rpartition('.')[2]} {how}{last} (its log: {worker.log}); "
        "give the same command again to continue from where it stopped, or abandon the round with: "
        "catbuilder round --abandon"
    )
