"""Decisions of a round: which labels are taken back, and which scores become labels.

`top_k` is the rule of Khan et al. 2019 (section III): the surest objects of each class of the pool join the
training set. `threshold` takes all above a fixed confidence. Neither states an error rate.
"""

from dataclasses import dataclass

import pyarrow as pa

from catbuilder.catalog import Connection, fetch_arrow
from catbuilder.config import Promotion
from catbuilder.labels import EVENTS
from catbuilder.resources import query


@dataclass(frozen=True)
class Decisions:
    """Label events of one round, in the order in which they are recorded: retractions, then promotions."""

    retractions: pa.Table
    promotions: pa.Table

    @property
    def events(self) -> pa.Table:
        """All of them, in the columns of `labels.EVENTS`."""
        return pa.concat_tables([self.retractions, self.promotions])


def decide(con: Connection, round_number: int, policy: Promotion) -> Decisions:
    """Retract promoted labels that the round's model disowns, then promote from the pool.

    Only an unlabelled pool object of the target population with a good stamp, free of the firewall, can be
    promoted; one whose label was taken back in this very round cannot. Ties of confidence are broken by
    survey and object_id, so the same scores always give the same labels.
    """
    retractions = fetch_arrow(con, query("retractions"), {"round": round_number, "floor": policy.floor})
    limits: dict[str, int | float] = {"round": round_number, "floor": policy.floor}
    if policy.policy == "top_k":
        promotions = fetch_arrow(con, query("promote_top_k"), {**limits, "per_class": policy.per_class})
    else:
        promotions = fetch_arrow(con, query("promote_threshold"), {**limits, "threshold": policy.threshold})
    return Decisions(_as_events(retractions), _as_events(promotions))


def _as_events(rows: pa.Table) -> pa.Table:
    """Fill the columns that the query does not give with NULL."""
    columns = [
        rows[field.name].cast(field.type) if field.name in rows.column_names else pa.nulls(rows.num_rows, field.type)
        for field in EVENTS
    ]
    return pa.table(columns, schema=EVENTS)
