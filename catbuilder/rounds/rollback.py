"""Roll back to the promotions of an earlier round: new label events undo the later ones, and nothing is deleted."""

from dataclasses import dataclass

from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.catalogue.label_events import EVENTS, record_events
from catbuilder.catalogue.round_records import open_plan, read_plan
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import RoundError
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted


@dataclass(frozen=True)
class RollbackReport:
    """Numbers of promotions that `rollback` changed.

    Attributes
    ----------
    retracted : int
        Number of promotions of later rounds that were taken back.
    reinstated : int
        Number of promotions that stood at that round, were retracted later, and stand again.
    """

    retracted: int
    reinstated: int

    def sentences(self) -> list[str]:
        """Describe the report, one sentence an item."""
        return [
            f"{counted(self.retracted, 'promotion')} retracted, {self.reinstated} reinstated.",
            "The next round continues from there.",
        ]


def rollback(workspace: Workspace, to: int) -> RollbackReport:
    """Restore the promoted labels as they were at the end of round `to`; 0 removes all.

    Labels from people and from catalogues stay. `catalog_at` of every closed round still gives the same rows. A label
    that was promoted under a certificate which an audit has broken since is not reinstated, nor one that an audit took
    back.

    Parameters
    ----------
    workspace : Workspace
        The workspace whose promotions change.
    to : int
        Number of a round, or 0.

    Returns
    -------
    RollbackReport
        How many promotions were taken back and how many reinstated.

    Raises
    ------
    RoundError
        There is no such round, or a round is unfinished.
    WorkspaceBusy
        A round is under way in this workspace.

    Examples
    --------
    >>> catbuilder.rollback(workspace, to=2).sentences()
    """
    with workspace.round_lock(), workspace.recording(f"rollback --to {to}") as recording:
        unfinished = open_plan(recording.con)
        if unfinished is not None:
            number = unfinished[0].round
            raise RoundError(f"round {number} is not finished; finish it first with: catbuilder round --n 1")
        if to != 0:
            read_plan(recording.con, to)
        # only objects that were once promoted can change
        recording.con.execute("CREATE OR REPLACE TEMP TABLE looked_at AS "
                              "SELECT DISTINCT survey, object_id FROM labels WHERE source = 'promoted'")  # fmt: skip
        with restricted_to(recording.con, "looked_at"):
            events = fetch_arrow(recording.con, query("rounds/rollback"), {"to": to})
        kinds = events["kind"].to_pylist()
        record_events(recording, events.select(EVENTS.names))
        recording.con.execute("INSERT INTO rollbacks VALUES (?, ?, ?)", [to, recording.round, recording.run])
    return RollbackReport(kinds.count("retraction"), kinds.count("label"))
