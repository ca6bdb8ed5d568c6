"""Which rounds there are, for whoever reads the catalogue and starts none: `plan` loads the network to plan one."""

from catbuilder.catalogue.database import Connection, fetch_number, first_row
from catbuilder.core.errors import RoundError


def last_round(con: Connection) -> int:
    """Number of the newest round, finished or not; 0 before the first."""
    return fetch_number(con, "SELECT coalesce(max(round), 0) FROM rounds")


def require_round(con: Connection, round_number: int) -> None:
    """Raise RoundError, which says which rounds there are, unless there is a round of that number."""
    if first_row(con, "SELECT 1 FROM rounds WHERE round = ?", [round_number]) is None:
        last = last_round(con)
        known = f"the rounds are 1 to {last}" if last else "no round has been run yet: run one with: catbuilder round"
        raise RoundError(f"there is no round {round_number}; {known}")
