"""Rounds and metrics, while a round trains too: a page that asks again every two seconds for what has changed.

Progress is read from the workers' files. The catalogue is opened only where the log says that something was recorded.
"""

from threading import Lock
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.core.resources import query
from catbuilder.rounds.worker_logs import RoundProgress, read_progress
from catbuilder.web.site import Here, Site

router = APIRouter()

_lock = Lock()
_kept: dict[tuple[str, int, int], dict[str, Any]] = {}  # what was recorded, by the state of the log


@router.get("/rounds")
def rounds(here: Here) -> Response:
    """The page."""
    return here.page("rounds.html", live=_live(here))


@router.get("/rounds/live")
def live(here: Here) -> Response:
    """The part of it that changes."""
    return HTMLResponse(_live(here))


def _live(here: Site) -> str:
    now = read_progress(here.workspace)
    return here.text("rounds_live.html", now=now, curve=_curve(now), **_recorded(here))


def _recorded(here: Site) -> dict[str, Any]:
    """Rounds, metrics and promotions as the catalogue has them."""
    log = here.workspace.log_file
    state = (str(log), log.stat().st_size, log.stat().st_mtime_ns) if log.exists() else (str(log), 0, 0)
    with _lock:
        if state not in _kept:
            with here.workspace.reading() as con:
                status = fetch_arrow(con, "SELECT * FROM round_status ORDER BY round DESC LIMIT 200").to_pylist()
                metrics = fetch_arrow(con, query("decisions/metrics"), {"rounds": None}).to_pylist()
                decided = fetch_arrow(con, query("catalogue/decided")).to_pylist()
            _kept.clear()
            by_round = {row["round"]: row for row in decided}
            _kept[state] = {"status": status, "metrics": metrics[-500:], "decided": by_round}
        return _kept[state]


def _curve(now: RoundProgress | None) -> dict[str, str] | None:
    """Losses by epoch as the points of two lines in a box of 300 by 100; None before the second epoch."""
    if now is None or len(now.epochs) < 2:
        return None
    lines = {name: [event[name] for event in now.epochs] for name in ("loss", "validation_loss")}
    known = [value for line in lines.values() for value in line if value is not None]
    low, high = min(known), max(known)
    step, scale = 300 / (len(now.epochs) - 1), 90 / max(high - low, 1e-9)
    return {
        name: " ".join(f"{i * step:.1f},{95 - (v - low) * scale:.1f}" for i, v in enumerate(line) if v is not None)
        for name, line in lines.items()
    } | {
        "low": f"{low:.3f}", "high": f"{high:.3f}", "first": f"{now.epochs[0]['epoch'] + 1}",
        "last": f"{now.epochs[-1]['epoch'] + 1}",
    }  # fmt: skip
