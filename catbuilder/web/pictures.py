"""Read stamps as PNG from their shards, by survey and id, so that addresses do not reveal predictions."""

import io
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from PIL import Image

from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.stamps import StampReader

_REMEMBERED = 100_000  # objects whose shard and row are kept in memory
Place = tuple[str | None, int | None]  # shard, and row in the shard


class Pictures:
    """A cache of where stamps are stored, filled by the pages, so that a page of fifty opens the catalogue once."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._places: OrderedDict[tuple[str, int], Place] = OrderedDict()
        self._lock = Lock()  # several threads make pages

    def remember(self, survey: str, object_id: int, shard: str | None, row: int | None) -> bool:
        """Remember where a stamp is stored; return whether there is one."""
        with self._lock:
            self._places[survey, object_id] = (shard, row)
            self._places.move_to_end((survey, object_id))
            if len(self._places) > _REMEMBERED:
                self._places.popitem(last=False)
        return shard is not None and row is not None

    def has(self, survey: str, object_id: int) -> bool:
        """Whether the object has a stamp; reads the catalogue, so that a newer stamp is found."""
        return None not in self._find(survey, object_id)

    def png(self, survey: str, object_id: int) -> bytes | None:
        """Return the stamp as PNG in its stored pixels; None if the object has none.

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
        Image.fromarray(stamp).save(out, "PNG", compress_level=1)  # stronger compression takes longer than sending
        return out.getvalue()

    def look_up(self, objects: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Place]:
        """Find and remember where stamps of objects (survey, object_id) are stored; omits objects without one."""
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
