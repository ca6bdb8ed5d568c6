"""Progress without a terminal: a line now and then, with rate and time left."""

import pytest

from catbuilder.core import progress
from catbuilder.core.progress import Reporter


def test_a_line_a_minute_tells_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with Reporter().bar("cutting stamps") as update:
        update(500, 90_000)
        now += 61
        update(54_900, 90_000)
        update(54_901, 90_000)
    assert capsys.readouterr().err == "cutting stamps: 54,900 of 90,000, 900/s, 0:00:39 left\n"


def test_nothing_is_told_where_nothing_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter(quiet=True).bar("cutting stamps") as update:
        update(1, 2)
    assert capsys.readouterr().err == ""
