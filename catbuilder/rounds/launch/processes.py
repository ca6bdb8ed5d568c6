"""Worker processes of one machine: started here, watched here, and never left behind.

All are children of the main thread of whoever calls, so that the kernel ends them with it (see `jobs.end_with_parent`):
of the coordinator, or of the starter of a host (see `starter`).
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from catbuilder.core.errors import WorkerDied
from catbuilder.core.machine import usable_cores
from catbuilder.core.processes import ignore_interrupts

_POLL_S = 0.05


@dataclass(frozen=True)
class Worker:
    """One process to start: `python -m <module> <job>`, its log file, its part of the environment, and where."""

    module: str
    job: Path
    log: Path
    environment: Mapping[str, str]
    host: str = ""  # this machine


def threads_for(ranks: int) -> int:
    """Threads a rank: Horovod sets none, and two ranks with two threads each on two cores ran 2.4 to 4 times slower."""
    return max(1, usable_cores() // ranks)


def run_all(workers: Sequence[Worker], watch: Callable[[], None], restarts: int = 0) -> None:
    """Run processes side by side until all have ended well; one that does not ends them all.

    Parameters
    ----------
    restarts : how often a process that died is started again, alone, before it ends the others; for
        processes that do not talk to each other
    """
    running: list[subprocess.Popen[bytes]] = []
    try:
        running = [_start(worker) for worker in workers]
        while any([process.poll() != 0 for process in running]):  # a list: every process is asked
            for place in _failed(running):
                # a refusal (exit code 1) would only be repeated; a killed process may have been unlucky
                if restarts == 0 or running[place].returncode == 1:
                    raise WorkerDied(_obituary(workers[place], running[place]), running[place].returncode < 0)
                restarts -= 1
                running[place] = _start(workers[place])
            watch()
            time.sleep(_POLL_S)
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()  # every file a worker leaves is whole or not there: nothing to clean up
        for process in running:
            process.wait()


def _failed(running: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    """Places of the processes that ended badly, killed ones (negative codes) first: the rest often died of them."""
    failed = [(process.returncode, place) for place, process in enumerate(running) if process.returncode]
    return [place for _, place in sorted(failed)]


def _start(worker: Worker) -> subprocess.Popen[bytes]:
    with open(worker.log, "wb") as log, ignore_interrupts():  # Ctrl-C is the coordinator's to answer
        return subprocess.Popen(
            [sys.executable, "-m", worker.module, str(worker.job)],
            env={**os.environ, **worker.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def thread_settings(threads: int) -> dict[str, str]:
    """Environment of a process of so many threads."""
    # OpenMP reads these before torch can be told. Threads that spin while they wait for a core that somebody else
    # uses made one process with two threads up to twenty times slower on a busy machine.
    return {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}


def _obituary(worker: Worker, process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    lines = [line for line in worker.log.read_text(errors="replace").splitlines() if line.strip()]
    last = f": {lines[-1].removeprefix('Error: ')}" if lines and code > 0 else ""
    return (
        f"a worker of {worker.module.rpartition('.')[2]} {how}{last} (its log: {worker.log}); "
        "give the same command again to go on from where it stopped, or give the round up with: "
        "catbuilder round --abandon"
    )
