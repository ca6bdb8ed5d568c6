"""The page of rounds and metrics, updated every two seconds while a round runs.

Progress is read from the logs of the workers. The catalogue is opened only after something was recorded.
"""

from threading import Lock
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.core.resources import query
from catbuilder.rounds.worker_logs import RoundProgress, read_progress
from catbuilder.web.site import CurrentSite, Site

router = APIRouter()

_lock = Lock()
_kept: dict[tuple[str, int, int], dict[str, Any]] = {}  # what the catalogue holds, by the state of its log


@router.get("/rounds")
def rounds(site: CurrentSite) -> Response:
    """Show the page."""
    return site.page("rounds.html", live=_live(site))


@router.get("/rounds/live")
def live(site: CurrentSite) -> Response:
    """Send the part of the page that changes."""
    return HTMLResponse(_live(site))


def _live(site: Site) -> str:
    now = read_progress(site.workspace)
    return site.text("rounds_live.html", now=now, curve=_curve(now), **_recorded(site))


def _recorded(site: Site) -> dict[str, Any]:
    """Read rounds, metrics and promotions from the catalogue."""
    log = site.workspace.log_file
    state = (str(log), log.stat().st_size, log.stat().st_mtime_ns) if log.exists() else (str(log), 0, 0)
    with _lock:
        if state not in _kept:
            with site.workspace.reading() as con:
                status = fetch_arrow(con, "SELECT * FROM round_status ORDER BY round DESC LIMIT 200").to_pylist()
                metrics = fetch_arrow(con, query("decisions/metrics"), {"rounds": None}).to_pylist()
                decided = fetch_arrow(con, query("catalogue/promotions_by_round")).to_pylist()
            _kept.clear()
            by_round = {row["round"]: row for row in decided}
            _kept[state] = {"status": status, "metrics": metrics[-500:], "decided": by_round}
        return _kept[state]


def _curve(now: RoundProgress | None) -> dict[str, str] | None:
    """Give losses by epoch as points of two lines in a box of 300 by 100; None before the second epoch."""
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
