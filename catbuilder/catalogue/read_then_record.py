"""Compute a result from the catalogue and record it, unless the catalogue changed meanwhile; then compute again.

Finding pairs among millions of objects takes minutes, and other commands should not have to wait for that. But if an
ingest is recorded meanwhile, the result lacks its objects and yet gets a later recording number, so that it would count
as up to date. So the recording must follow the reading directly; otherwise the result is computed again. Commands that
keep recording could delay this for ever, so it gives up after a few tries.
"""

from collections.abc import Callable
from typing import TypeVar

from catbuilder.catalogue.connection import Connection
from catbuilder.catalogue.last_numbers import last_recording
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.core.errors import WorkspaceBusy

TRIES = 5

Found = TypeVar("Found")


class _Overtaken(Exception):
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
    for _ in range(TRIES):
        with workspace.reading() as con:
            looked_at = last_recording(con)
            found = read(con)
        if not is_news(found):
            return found
        try:
            with workspace.recording(what) as recording:
                if recording.run != looked_at + 1:
                    raise _Overtaken
                record(recording, found)
            return found
        except _Overtaken:
            continue
    raise WorkspaceBusy(
        f"other commands changed {workspace.catalog_file} {TRIES} times while this one was reading it, and nothing is "
        "recorded; wait until they are done and give the command again"
    )
