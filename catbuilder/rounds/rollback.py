"""Back to the promotions of an earlier round, by events: nothing is deleted and no number is used again."""

from dataclasses import dataclass

from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.catalogue.label_events import EVENTS, record_events
from catbuilder.catalogue.round_records import open_plan, read_plan
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import RoundError
from catbuilder.core.resources import query


@dataclass(frozen=True)
class RollbackReport:
    """What `rollback` recorded."""

    retracted: int  # promotions of later rounds
    reinstated: int  # promotions that stood at that round and were retracted later


def rollback(workspace: Workspace, to: int) -> RollbackReport:
    """Make the promoted labels those of the end of round `to` (0: none) again.

    Labels that people or catalogues asserted stay. `catalog_at` of every closed round answers as before. What stood
    under a certificate that an audit has broken since is not reinstated.

    Raises
    ------
    RoundError
        There is no such round, or a round is unfinished.
    """
    with workspace.round_lock(), workspace.recording(f"rollback --to {to}") as recording:
        unfinished = open_plan(recording.con)
        if unfinished is not None:
            number = unfinished[0].round
            raise RoundError(f"round {number} is not finished; finish it first with: catbuilder round --n 1")
        if to != 0:
            read_plan(recording.con, to)
        # what was ever promoted is all that can change
        recording.con.execute("CREATE OR REPLACE TEMP TABLE looked_at AS "
                              "SELECT DISTINCT survey, object_id FROM labels WHERE source = 'promoted'")  # fmt: skip
        with restricted_to(recording.con, "looked_at"):
            events = fetch_arrow(recording.con, query("rounds/rollback"), {"to": to})
        kinds = events["kind"].to_pylist()
        record_events(recording, events.select(EVENTS.names))
        recording.con.execute("INSERT INTO rollbacks VALUES (?, ?, ?)", [to, recording.round, recording.run])
    return RollbackReport(kinds.count("retraction"), kinds.count("label"))
