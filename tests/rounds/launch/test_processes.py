"""Worker processes are watched one by one, and the one that failed first is named."""

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from catbuilder.core.errors import WorkerDied
from catbuilder.rounds.launch.processes import Worker, run_all

MODULE = """
import os, sys, time
from pathlib import Path
job = Path(sys.argv[1])
exec(job.read_text())
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A worker module that does what its job says."""
    (tmp_path / "obedient.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return "obedient"


def worker(folder: Path, module: str, name: str, job: str) -> Worker:
    path = folder / f"{name}.job"
    path.write_text(job)
    return Worker(module, path, folder / f"{name}.log", {})


def test_a_dead_process_is_noticed_while_an_earlier_one_runs(tmp_path: Path, module: str) -> None:
    started = time.monotonic()
    workers = [
        worker(tmp_path, module, "a", "time.sleep(120)"),
        worker(tmp_path, module, "b", "os.kill(os.getpid(), 9)"),
    ]
    with pytest.raises(WorkerDied, match=r"a worker of obedient was killed by signal 9 \(its log: .*b\.log\)"):
        run_all(workers, lambda: None)
    assert time.monotonic() - started < 90
    words = [sys.executable, "-m", module, str(tmp_path / "a.job")]
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == words], "the other was ended too"


def test_the_killed_process_is_named_not_those_that_failed_because_of_it(tmp_path: Path, module: str) -> None:
    """The first ends by itself once the second is gone, as a Horovod rank does; both are found dead at once."""
    jobs = {"a": "sys.exit('the others are gone')", "b": "os.kill(os.getpid(), 9)"}
    workers = [worker(tmp_path, module, name, job) for name, job in jobs.items()]
    with pytest.raises(WorkerDied, match="killed by signal 9"):
        run_all(workers, lambda: time.sleep(3))


def test_a_killed_process_is_restarted_alone_and_a_failed_one_is_not(tmp_path: Path, module: str) -> None:
    once = (
        "import os; seen = job.with_suffix('.seen'); old = seen.exists(); seen.touch(); old or os.kill(os.getpid(), 9)"
    )
    run_all([worker(tmp_path, module, "a", once), worker(tmp_path, module, "b", "")], lambda: None, restarts=1)
    assert (tmp_path / "a.seen").exists()
    refusing = worker(tmp_path, module, "c", "sys.exit('Error: no')")
    with pytest.raises(WorkerDied, match="ended with exit code 1: no"):
        run_all([refusing], lambda: None, restarts=2)
