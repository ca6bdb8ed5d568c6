"""Record a result only if the catalogue has not changed since it was read; otherwise compute it again.

Finding pairs among millions of objects takes minutes, and the file must stay open to others meanwhile. An ingest that
is recorded in between gets a lower run than the result that was computed without it, so the result would look up to
date. Therefore the recording must follow the reading directly; if another recording came between them, everything is
computed again. The price is that continuous recording by others can delay this. After a few tries it gives up and says
so.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from catbuilder.catalogue.connection import Connection
from catbuilder.catalogue.last_numbers import last_recording
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.core.errors import WorkspaceBusy

TRIES = 5

Found = TypeVar("Found")


class Overtaken(Exception):
    """Another command recorded something after the reading; rolls the recording back."""


def read_then_record(
    workspace: Workspace,
    what: str,
    read: Callable[[Connection], Found],
    is_news: Callable[[Found], bool],
    record: Callable[[Recording, Found], None],
) -> Found:
    """Return what `read` finds, after `record` has recorded it if `is_news`.

    Raises
    ------
    WorkspaceBusy
        Others recorded something between reading and recording, `TRIES` times in a row. Nothing is recorded.
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
