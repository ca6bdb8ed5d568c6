"""Make folders once for all processes that share a run of the tests."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

_root: Path | None = None


def share_under(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what is made once below the run's temporary folder, which the processes of pytest-xdist share."""
    global _root
    base = tmp_path_factory.getbasetemp()
    _root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def shared() -> bool:
    """Tell whether there is such a folder: not where a script uses what the tests use."""
    return _root is not None


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """Make a folder with a function of its path, unless it is there; no test may change it."""
    assert _root is not None
    place, ready = _root / name, _root / f"{name}.ready"
    if not ready.exists():
        with open(_root / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not ready.exists():
                shutil.rmtree(place, ignore_errors=True)
                make(place)
                ready.touch()
    return place
