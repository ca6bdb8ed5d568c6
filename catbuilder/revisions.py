"""Rows that a newer one replaces: nothing is changed, and `revisions` says which rows count no more.

To rank all rows of each object instead, whenever the catalogue is read, took half of the time of counting a survey.
"""

from catbuilder.catalogue.workspace import Recording
from catbuilder.core.resources import query


def replace_older(recording: Recording, table: str) -> None:
    """Record that rows of this recording replace the older ones of the same objects in `stamps` or `splits`."""
    recording.con.execute(
        query("record_replaced").format(table=table),
        {"table": table, "round": recording.round, "run": recording.run},
    )
