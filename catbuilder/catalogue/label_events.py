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
    _record_incoming(recording, round_number)
    con.unregister("incoming_events")
    return events.num_rows


def make_events_table(con: Connection, table: str) -> None:
    """Create an empty temporary table with the columns of `EVENTS`."""
    con.register("no_events", EVENTS.empty_table())
    con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT * FROM no_events")
    con.unregister("no_events")


def record_events_of(recording: Recording, table: str, round_number: int | None = None) -> None:
    """Append the label events of such a table, in its order, as `record_events`; they need not fit into memory."""
    # not the rowid, which is none before the transaction has ended
    text = f"SELECT *, row_number() OVER () - 1 AS position FROM temp.{table}"
    recording.con.execute(f"CREATE OR REPLACE TEMP VIEW incoming_events AS {text}")
    _record_incoming(recording, round_number)
    recording.con.execute("DROP VIEW temp.incoming_events")


def _record_incoming(recording: Recording, round_number: int | None) -> None:
    _refuse_forbidden_promotions(recording.con)
    round_number = recording.round if round_number is None else round_number
    recording.con.execute(query("catalogue/record_events"), {"round": round_number, "run": recording.run})


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
