"""Stamps as PNG, out of the memory-mapped shards, by survey and id: nothing in an address tells what was predicted."""

import io
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from PIL import Image

from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.stamps import StampReader

_REMEMBERED = 100_000  # places of stamps
Place = tuple[str | None, int | None]  # shard and row in it


class Pictures:
    """Where stamps lie, as the last page that showed them has learned: a page of fifty opens the catalogue once."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._places: OrderedDict[tuple[str, int], Place] = OrderedDict()
        self._lock = Lock()  # pages are made by several threads

    def remember(self, survey: str, object_id: int, shard: str | None, row: int | None) -> bool:
        """Note where a stamp lies; whether there is one."""
        with self._lock:
            self._places[survey, object_id] = (shard, row)
            self._places.move_to_end((survey, object_id))
            if len(self._places) > _REMEMBERED:
                self._places.popitem(last=False)
        return shard is not None and row is not None

    def has(self, survey: str, object_id: int) -> bool:
        """Whether the object has a stamp; looked up anew, so that a newer one is shown from then on."""
        return None not in self._find(survey, object_id)

    def png(self, survey: str, object_id: int) -> bytes | None:
        """The stamp as PNG, pixel by pixel; None where the object has none.

        Raises
        ------
        WorkspaceError
            The shard is missing or damaged.
        """
        place = self._places.get((survey, object_id)) or self._find(survey, object_id)
        shard, row = place
        if shard is None or row is None:
            return None
        stamp = StampReader(self.workspace.path, [shard], [row]).read([0])[0]
        out = io.BytesIO()
        Image.fromarray(stamp).save(out, "PNG", compress_level=1)  # smaller files would take longer than to send them
        return out.getvalue()

    def look_up(self, objects: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Place]:
        """Where the stamps of objects (survey, object_id) lie, remembered from now on; of none, what has none."""
        text = "SELECT survey, object_id, shard, row FROM standing_stamps_at()"
        with self.workspace.reading() as con:
            surveys, ids = [survey for survey, _ in objects], [object_id for _, object_id in objects]
            con.execute(
                "CREATE OR REPLACE TEMP TABLE pictured AS "
                "SELECT unnest($surveys::VARCHAR[]) AS survey, unnest($ids::BIGINT[]) AS object_id",
                {"surveys": surveys, "ids": ids},
            )
            with restricted_to(con, "pictured"):
                rows = con.execute(text).fetchall()
        found = {(survey, object_id): (shard, row) for survey, object_id, shard, row in rows}
        for (survey, object_id), place in found.items():
            self.remember(survey, object_id, *place)
        return found

    def _find(self, survey: str, object_id: int) -> Place:
        return self.look_up([(survey, object_id)]).get((survey, object_id), (None, None))
