"""Choose the tests of `make quick` by how long they took: `make test ARGS=--record-times` writes their list anew."""

from collections import defaultdict
from pathlib import Path

import pytest

LIST = Path(__file__).parents[1] / "times.txt"
LISTED_S = 0.4  # of a test's call, on two cores with three workers
_HEADER = f"""\
# Tests that took more than {LISTED_S} s (seconds, test; the longest of its parameters): `make quick` leaves them out.
# Written by: make test ARGS=--record-times
"""


class TimesRecorder:
    """Plugin that writes the list at the end of a run of all tests."""

    def __init__(self) -> None:
        self.longest: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            name = _function(report.nodeid)
            self.longest[name] = max(self.longest[name], report.duration)

    def pytest_sessionfinish(self) -> None:
        lines = [f"{seconds:.1f} {name}\n" for name, seconds in sorted(self.longest.items()) if seconds > LISTED_S]
        LIST.write_text(_HEADER + "".join(lines), encoding="utf-8")


def is_quick(item: pytest.Item, listed: set[str]) -> bool:
    """Tell whether a test belongs to the quick tier: it starts no process, and is neither marked slow nor listed."""
    marked = item.get_closest_marker("slow") or item.get_closest_marker("process")
    return not marked and _function(item.nodeid) not in listed


def listed_tests() -> set[str]:
    """Read the names of the tests in the list."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return {line.partition(" ")[2] for line in lines if not line.startswith("#")}


def _function(nodeid: str) -> str:
    """Give the name of a test without its parameters."""
    return nodeid.partition("[")[0]
