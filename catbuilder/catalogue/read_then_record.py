"""Read long, then record: what was computed from the catalogue is recorded only while that still is the catalogue.

Finding pairs among millions takes minutes, during which nobody should be kept from the file, and an ingest that is
recorded in between gets a lower run than what was computed without it, which would then pass for fresh. So the
recording must follow the reading directly; if another came between them, all is computed again. The price is that
somebody who records without end can keep this waiting; after a few times it gives up and says so.
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
    """Somebody recorded something after the reading; rolls the recording back."""


def read_then_record(
    workspace: Workspace,
    what: str,
    read: Callable[[Connection], Found],
    is_news: Callable[[Found], bool],
    record: Callable[[Recording, Found], None],
) -> Found:
    """Give what `read` finds, after `record` has recorded it if `is_news`.

    Raises
    ------
    WorkspaceBusy
        Others recorded something between reading and recording, `TRIES` times in a row. Nothing is recorded.
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
