"""Draw stamps side by side with captions, as a PNG, PDF or SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow
from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError, NothingToScore
from catbuilder.core.figure_files import save_figure
from catbuilder.core.paths import figure_to_write
from catbuilder.core.resources import query
from catbuilder.core.stamps import StampReader, Stamps

MOST_STAMPS = 400  # more cannot be told apart
_PANEL_INCHES = 1.3
_COLUMNS = 6


@dataclass(frozen=True)
class MosaicStamp:
    """An object to draw, and its caption of one or two lines.

    Attributes
    ----------
    survey : str
        Survey of the object.
    object_id : int
        Id of the object in its survey.
    caption : str
        Text above the stamp.
    """

    survey: str
    object_id: int
    caption: str


def draw_mosaic(workspace: Workspace, pictures: Sequence[MosaicStamp], file: str | Path, *, title: str = "") -> int:
    """Draw the stamps of objects side by side, in the given order, as PNG, PDF or SVG.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    pictures : sequence of MosaicStamp
        The objects and their captions, at most 400. An object without a stamp is left out.
    file : str or Path
        File to write; its name ends in .png, .pdf or .svg.
    title : str
        Title above the stamps; none by default.

    Returns
    -------
    int
        Number of objects drawn.

    Raises
    ------
    InputError
        The file's name ends in none of .png, .pdf and .svg, or there are more than 400 objects.
    NothingToScore
        None of the objects has a stamp.

    Examples
    --------
    >>> catbuilder.draw_mosaic(workspace, [catbuilder.MosaicStamp("des", 5, "spiral")], "spirals.png")
    """
    file = figure_to_write(file)
    from matplotlib.figure import Figure

    if len(pictures) > MOST_STAMPS:
        raise InputError(f"a mosaic of {len(pictures):,} objects is too large; ask for at most {MOST_STAMPS}")
    with workspace.reading() as con:
        stamps = read_object_stamps(con, workspace, [(one.survey, one.object_id) for one in pictures])
    shown = [one for one in pictures if (one.survey, one.object_id) in stamps]
    if not shown:
        raise NothingToScore("none of these objects has an image; fetch some with: catbuilder fetch")
    columns = min(_COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(_PANEL_INCHES * columns, 1.35 * _PANEL_INCHES * rows + 0.3), layout="constrained")
    panels = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for panel in panels:
        panel.set_axis_off()
    for panel, one in zip(panels, shown, strict=False):
        panel.imshow(stamps[one.survey, one.object_id], interpolation="nearest")
        panel.set_title(one.caption, fontsize=5.5, parse_math=False)
    if title:
        figure.suptitle(title, fontsize=9, parse_math=False)
    save_figure(figure, file)
    return len(shown)


def read_object_stamps(
    con: Connection, workspace: Workspace, objects: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], Stamps]:
    """Read the stamps, uint8 (size, size, 3), of the objects (survey, object_id) that have one."""
    keys = pa.table(
        {
            "survey": pa.array([survey for survey, _ in objects], pa.string()),
            "object_id": pa.array([number for _, number in objects], pa.int64()),
        }
    )
    con.register("arrow_shown", keys)
    con.execute("CREATE OR REPLACE TEMP TABLE shown AS SELECT DISTINCT survey, object_id FROM arrow_shown")
    con.unregister("arrow_shown")
    with restricted_to(con, "shown"):
        places = [
            row for row in fetch_arrow(con, query("inspection/stamp_places")).to_pylist() if row["shard"] is not None
        ]
    if not places:
        return {}
    reader = StampReader(workspace.path, [row["shard"] for row in places], [row["row"] for row in places])
    pixels = reader.read(np.arange(len(places)))
    return {(row["survey"], row["object_id"]): pixels[i] for i, row in enumerate(places)}
