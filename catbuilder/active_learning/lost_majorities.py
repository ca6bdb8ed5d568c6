"""Retract labels that a vote once gave and that the answers no longer support, since more people have answered.

A label is retracted if the same platform's answers gave it, to an object on which they now find no majority, and if it
is by one of the people who answered or by no more people than have answered now. Labels that a person gave in a review
or that another table brought are no outcome of the vote, and stay.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from catbuilder.active_learning.majority import ObjectVotes
from catbuilder.catalogue.connection import Connection, fetch_arrow
from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.catalogue.label_events import EVENTS
from catbuilder.core.resources import query

_LISTED = 10

Undecided = Mapping[tuple[str, int], tuple[ObjectVotes, str]]
"""Votes without a majority, and what to say of them, by survey and id of the catalogued object."""


def vote_reason(layout: str) -> str:
    """Begin the reason of a label that the answers of a platform gave."""
    return f"answers on {layout}, "


def retract_lost_majorities(con: Connection, undecided: Undecided, layout: str, source: str, file: str) -> pa.Table:
    """Return retractions, with the columns of `EVENTS`, of the labels that earlier answers gave to these objects."""
    events = []
    for row in _labels(con, "labels_of_undecided", undecided):
        votes, why = undecided[row["survey"], row["object_id"]]
        if row["source"] != source or not str(row["reason"]).startswith(vote_reason(layout)):
            continue
        of_people = re.fullmatch(rf"{layout}: \d+ of (\d+)", row["annotator"] or "")
        if int(of_people[1]) <= votes.votes.total() if of_people else row["annotator"] in votes.people:
            event = {name: row[name] for name in ("survey", "object_id", "label", "source", "annotator")}
            reason = f"{vote_reason(layout)}{file}, row {votes.row}: {why}"
            events.append({**event, "kind": "retraction", "reason": reason, "retracts": row["event"]})
    return pa.Table.from_pylist(events, schema=EVENTS)


def say_retracted(retractions: pa.Table) -> list[str]:
    """Say which objects lost their label."""
    if not retractions.num_rows:
        return []
    n = retractions.num_rows
    what = "1 label that earlier answers gave has" if n == 1 else f"{n:,} labels that earlier answers gave have"
    return [f"{what} no majority any more and {'is' if n == 1 else 'are'} retracted: {_list(retractions.to_pylist())}."]


def say_still_labelled(con: Connection, undecided: Undecided) -> list[str]:
    """Say which objects without a majority have a label all the same: from a review, another table or other people."""
    rows = _labels(con, "labels_without_majority", undecided)
    if not rows:
        return []
    n = len(rows)
    what = "1 object without a majority keeps its" if n == 1 else f"{n:,} objects without a majority keep their"
    return [f"{what} label from elsewhere: {_list(rows)}."]


def _labels(con: Connection, name: str, undecided: Undecided) -> list[dict[str, Any]]:
    if not undecided:
        return []
    schema = pa.schema([("survey", pa.string()), ("object_id", pa.int64())])
    objects = [{"survey": survey, "object_id": object_id} for survey, object_id in undecided]
    con.register("undecided", pa.Table.from_pylist(objects, schema=schema))
    con.execute("CREATE OR REPLACE TEMP TABLE looked_at AS SELECT DISTINCT survey, object_id FROM undecided")
    with restricted_to(con, "looked_at"):
        rows = fetch_arrow(con, query(f"active_learning/{name}")).to_pylist()
    con.unregister("undecided")
    return rows


def _list(rows: Sequence[Mapping[str, Any]]) -> str:
    listed = ", ".join(f"{row['survey']} {row['object_id']} ({row['label']})" for row in rows[:_LISTED])
    return listed + (f" and {len(rows) - _LISTED:,} more" if len(rows) > _LISTED else "")
