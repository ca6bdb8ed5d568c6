"""Record label events: append-only, numbered without gaps, and checked against test objects once more."""

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number
from catbuilder.catalogue.id_ranges import LARGE_TABLES, restricted_to
from catbuilder.catalogue.workspace import Recording
from catbuilder.core.errors import FirewallError
from catbuilder.core.resources import query

EVENTS = pa.schema(
    [
        ("survey", pa.string()),
        ("object_id", pa.int64()),
        ("kind", pa.string()),  # 'label', 'unsure' (a person could not tell) or 'retraction' of either
        ("label", pa.string()),
        ("confidence", pa.float32()),
        ("source", pa.string()),
        ("annotator", pa.string()),
        ("model", pa.int32()),
        ("certificate", pa.string()),
        ("reason", pa.string()),
        ("retracts", pa.int64()),
    ]
)


def record_events(recording: Recording, events: pa.Table, round_number: int | None = None) -> int:
    """Append label events in the given order and return their number.

    Parameters
    ----------
    events : table with the columns of `EVENTS`
    round_number : the round they belong to; by default the next round

    Raises
    ------
    FirewallError
        An event promotes a test object, an object too near to one, or one outside the target population.
    """
    con = recording.con
    numbered = events.select(EVENTS.names).cast(EVENTS)
    con.register("incoming_events", numbered.append_column("position", pa.array(range(events.num_rows), pa.int64())))
    _refuse_forbidden_promotions(con)
    round_number = recording.round if round_number is None else round_number
    con.execute(query("catalogue/record_events"), {"round": round_number, "run": recording.run})
    con.unregister("incoming_events")
    return events.num_rows


def _refuse_forbidden_promotions(con: Connection) -> None:
    """Raise FirewallError if one of the incoming events promotes an object that may not be promoted."""
    con.execute("CREATE OR REPLACE TEMP TABLE looked_at AS SELECT DISTINCT survey, object_id FROM incoming_events "
                "WHERE source = 'promoted' AND kind = 'label'")  # fmt: skip
    if not fetch_number(con, "SELECT count(*) FROM looked_at"):  # as in every import of labels
        return
    with restricted_to(con, "looked_at", gathered=LARGE_TABLES):
        forbidden = con.execute(query("catalogue/forbidden_promotions")).fetchall()
    if forbidden:
        survey, object_id, why = forbidden[0]
        raise FirewallError(
            f"{len(forbidden)} promotions refused and nothing recorded: {survey} {object_id} {why}; "
            "this is an error in catbuilder, please report it with the output of: catbuilder check"
        )


def fresh_labels(recording: Recording, events: pa.Table) -> pa.Table:
    """Drop labels that repeat the last label of the same source and annotator; keep the order of the others."""
    con, places = recording.con, pa.array(range(events.num_rows), pa.int64())
    con.register("candidate_labels", events.append_column("place", places))
    con.execute("CREATE OR REPLACE TEMP TABLE looked_at AS SELECT DISTINCT survey, object_id FROM candidate_labels")
    with restricted_to(con, "looked_at", read=("labels",)):
        return fetch_arrow(con, query("catalogue/fresh_labels"))
