"""Read the number of the last recording, round or label event; each is 0 before the first."""

from catbuilder.catalogue.connection import Connection, fetch_number


def last_recording(con: Connection) -> int:
    """Read the number of the newest recording (column `run` of every table)."""
    return fetch_number(con, "SELECT coalesce(max(run), 0) FROM runs")


def last_round(con: Connection) -> int:
    """Read the number of the newest round, finished or not."""
    return fetch_number(con, "SELECT coalesce(max(round), 0) FROM rounds")


def last_event(con: Connection) -> int:
    """Read the number of the newest label event."""
    return fetch_number(con, "SELECT coalesce(max(event), 0) FROM labels")
