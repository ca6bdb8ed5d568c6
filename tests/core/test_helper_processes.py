"""Helper processes import nothing from the current folder, where a file may have the name of a library."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import pytest

from catbuilder.core.processes import ignore_interrupts
from catbuilder.rounds.launch.processes import Worker, run_all


@pytest.fixture
def stray_files(tmp_path, monkeypatch):
    for name in ("this", "signal", "selectors", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a stray file was imported')")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_worker_is_not_started_from_a_stray_file(stray_files):
    log = stray_files / "worker.log"
    run_all([Worker("this", stray_files / "job.json", log, {})], lambda: None)
    assert "Namespaces are one honking great idea" in log.read_text()


def test_a_pool_does_not_import_stray_files(stray_files, monkeypatch):
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    with ignore_interrupts(), ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(os.getpid).result(60) != os.getpid()
    assert "PYTHONSAFEPATH" not in os.environ
