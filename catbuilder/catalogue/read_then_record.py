"""Compute a result from the catalogue and record it, unless the catalogue changed meanwhile; then compute again.

Finding pairs among millions of objects takes minutes, and other commands should not have to wait for that. But if an
ingest is recorded meanwhile, the result lacks its objects and yet gets a later recording number, so that it would count
as up to date. So the recording must follow the reading directly; otherwise the result is computed again. Commands that
keep recording could delay this for ever, so it gives up after a few tries.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from catbuilder.catalogue.connection import Connection
from catbuilder.catalogue.latest_round_and_run import last_recording
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.core.errors import WorkspaceBusy

TRIES = 5

Found = TypeVar("Found")


class Overtaken(Exception):
    """Another command recorded something after the reading; raising this rolls the recording back."""


def read_then_record(
    workspace: Workspace,
    what: str,
    read: Callable[[Connection], Found],
    is_news: Callable[[Found], bool],
    record: Callable[[Recording, Found], None],
) -> Found:
    """Give the result of `read`, after `record` has recorded it if `is_news`.

    Raises
    ------
    WorkspaceBusy
        Other commands recorded something between reading and recording, `TRIES` times in a row. Nothing is recorded.
    """

    def attempt() -> Found:
        with workspace.reading() as con:
            looked_at = last_recording(con)
            found = read(con)
        if is_news(found):
            with recording_directly_after(workspace, looked_at, what) as recording:
                record(recording, found)
        return found

    return retry_when_overtaken(workspace, attempt)


def retry_when_overtaken(workspace: Workspace, attempt: Callable[[], Found], tries: int | None = TRIES) -> Found:
    """Call `attempt` until it raises no `Overtaken`, and return its result.

    Parameters
    ----------
    tries : calls at most; None for no limit

    Raises
    ------
    WorkspaceBusy
        Every call was overtaken.
    """
    for _ in itertools.count() if tries is None else range(tries):
        try:
            return attempt()
        except Overtaken:
            continue
    raise WorkspaceBusy(
        f"other commands changed {workspace.catalog_file} {tries} times while this one was reading it, and nothing is "
        "recorded; wait until they are done and give the command again"
    )


@contextmanager
def recording_directly_after(
    workspace: Workspace, run: int, what: str, wait_s: float | None = 60.0
) -> Iterator[Recording]:
    """Open a recording that follows recording `run` directly; raises `Overtaken` if another has followed it."""
    with workspace.recording(what, wait_s=wait_s) as recording:
        if recording.run != run + 1:
            raise Overtaken
        yield recording
