"""Compare predicted class shares between groups of objects, such as the tiles of the survey."""

import math
import re
from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import chi2_contingency

from catbuilder.core.sky import cell_shift, healpix_cell
from catbuilder.decisions.measures import proportion
from catbuilder.reports.data import ReportData
from catbuilder.reports.figure_style import (
    BALANCE,
    INK,
    MANY_CLASSES,
    MARKERS,
    PAGE_INCHES,
    add_class_legend,
    class_colour,
    error_bars,
)
from catbuilder.reports.page_parts import Drawing, Part, missing_part
from catbuilder.reports.sky import floats

Names = npt.NDArray[np.object_]

_TILES = 12  # those with most objects, each with its own point
_LEAST_A_TILE = 20
_FAR = 4  # standard errors shown in the full colour
# HEALPix cells of 0.92 degrees replace the tiles of DES (0.73) where the catalogue does not name them; larger cells are
# used where these hold too few objects
_TILE_ORDER = 6


def tiles_part(data: ReportData, objects: pa.Table, names: Names, measured: dict[str, list[object]]) -> Part:
    """Draw predicted class shares in the tiles with most objects, or say why that cannot be shown."""
    found = _tiles(objects, measured)
    if found is None:
        return missing_part(
            f"No check by tile: the objects have neither TILENAME nor a position, or fewer than {_LEAST_A_TILE} per "
            "tile; ingest the DES main table with: catbuilder ingest des FILE, or give ra and dec in the table of "
            "images"
        )
    what, tiles = found
    kinds, counts = np.unique(tiles[tiles != ""].astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_TILES]
    largest = kinds[order][counts[order] >= _LEAST_A_TILE]
    inside = np.isin(tiles.astype(str), largest)
    judged = describe_difference(difference_p_value(tiles[inside], names[inside]))
    many = len(data.classes) > MANY_CLASSES
    how = (
        "in per cent of its objects; shaded by its distance from the share in all these tiles, in standard errors"
        if many
        else "with Wilson's 95 per cent intervals; the line is the share of all"
    )
    return Drawing(
        "tiles",
        f"Predicted share by {what}: the {len(largest)} of {len(kinds):,} with most objects (numbers in brackets), "
        f"{how}. Here {judged} (chi-squared test).",
        f"Predicted share by tile, {len(largest)} tiles: {judged}.",
        partial(_draw_many_in_tiles if many else _draw_tiles, tiles=tiles, names=names, largest=list(largest),
                classes=data.classes, kind=what.partition(" of ")[0]),
    )  # fmt: skip


def _tiles(objects: pa.Table, measured: dict[str, list[object]]) -> tuple[str, Names] | None:
    """Give each object its tile, or else a HEALPix cell large enough to hold many objects; '' without a position."""
    named = np.array([str(tile) if tile else "" for tile in measured.get("tilename", [])], dtype=object)
    if _enough(named):
        return "tile of the survey", named
    cells = healpix_cell(floats(objects, "ra"), floats(objects, "dec"))
    for order in range(_TILE_ORDER, -1, -1):
        tiles = np.array([f"{cell >> cell_shift(order)}" if cell >= 0 else "" for cell in cells], dtype=object)
        if _enough(tiles):
            side = math.degrees(math.sqrt(math.pi / 3)) / 2**order
            return (
                f"HEALPix cell of order {order} ({side:.2g} deg wide, nested), since the catalogue does not name tiles",
                tiles,
            )
    return None


def _enough(tiles: Names) -> bool:
    """Whether at least half of the tiles hold enough objects (or a full figure of them, and two at least)."""
    _, counts = np.unique(tiles[tiles != ""].astype(str), return_counts=True)
    large = int((counts >= _LEAST_A_TILE).sum())
    return large >= 2 and large >= min(_TILES, len(counts) / 2)


def _draw_tiles(tiles: Names, names: Names, largest: Sequence[str], classes: Sequence[str], kind: str) -> Figure:
    figure = Figure(figsize=(PAGE_INCHES, 2.7), layout="constrained")
    panel = figure.subplots()
    groups = [names[tiles == tile] for tile in largest]
    draw_shares(panel, list(range(len(largest))), groups, classes)
    for line in panel.lines:
        line.set_linestyle("none")
    for place, name in list(enumerate(classes))[-1:] if len(classes) == 2 else enumerate(classes):
        panel.axhline(float((names == name).mean()), color=class_colour(place, len(classes)), linewidth=0.7)
    _name_tiles(panel, largest, groups, kind)
    panel.set(ylabel="share predicted", ylim=(0, 1))
    add_class_legend(figure, panel)
    return figure


def _draw_many_in_tiles(
    tiles: Names, names: Names, largest: Sequence[str], classes: Sequence[str], kind: str
) -> Figure:
    """Draw a field for each class and tile: points of ten classes would hide one another."""
    groups = [names[tiles == tile] for tile in largest]
    counts = np.array([[(group == name).sum() for group in groups] for name in classes], float)
    total = counts.sum(axis=0)
    share = counts.sum(axis=1, keepdims=True) / total.sum()
    off = (counts - share * total) / np.sqrt(np.maximum(share * (1 - share) * total, 1e-9))
    figure = Figure(figsize=(PAGE_INCHES, 0.23 * len(classes) + 1.1), layout="constrained")
    panel = figure.subplots()
    image = panel.imshow(off, cmap=BALANCE, vmin=-_FAR, vmax=_FAR, aspect="auto")
    for row, column in np.ndindex(*counts.shape):
        panel.text(column, row, f"{100 * counts[row, column] / total[column]:.0f}", ha="center", va="center",
                   fontsize=7, color=INK)  # fmt: skip
    panel.set_yticks(range(len(classes)), classes)
    panel.tick_params(length=0)
    _name_tiles(panel, largest, groups, kind)
    figure.colorbar(image, label="standard errors", extend="both", pad=0.01)
    return figure


def _name_tiles(panel: Axes, largest: Sequence[str], groups: Sequence[Names], kind: str) -> None:
    # DES0001-5540 is as long as two tiles are wide
    labels = [re.sub("(?=[+-])", "\n", tile) + f"\n({len(group)})" for tile, group in zip(largest, groups, strict=True)]
    panel.set_xticks(range(len(largest)), labels, fontsize=6)
    panel.set_xlabel(f"{kind} (objects)")


def difference_p_value(group: npt.ArrayLike, names: Names) -> float | None:
    """Compute the chi-squared probability that class shares differ so much between groups by chance.

    None if there are fewer than two groups or two classes.
    """
    groups, row = np.unique(np.asarray(group), return_inverse=True)
    classes, column = np.unique(names.astype(str), return_inverse=True)
    if len(groups) < 2 or len(classes) < 2:
        return None
    counts = np.zeros((len(groups), len(classes)))
    np.add.at(counts, (row, column), 1)
    return float(chi2_contingency(counts).pvalue)


def describe_difference(p: float | None) -> str:
    """Describe a difference of shares by its probability of arising by chance."""
    if p is None:
        return "nothing to compare"
    found = "differ more than chance allows" if p < 0.01 else "show no significant difference"
    return f"the shares {found}, p = {p:.2g}"


def draw_shares(panel: Axes, at: Sequence[float], groups: Sequence[Names], classes: Sequence[str]) -> None:
    """Draw the share of each class in each group with its interval; of two classes, only the second."""
    apart = 0.5 * float(np.diff(at).min(initial=1.0)) / len(classes) if len(classes) > 2 else 0.0
    for place, name in list(enumerate(classes))[-1:] if len(classes) == 2 else enumerate(classes):
        found = [proportion(name, int((group == name).sum()), len(group), 1.0) for group in groups]
        colour, marker = class_colour(place, len(classes)), MARKERS[place % len(MARKERS)]
        # side by side, or the last class would hide the intervals of the others
        beside = np.asarray(at) + apart * (place - (len(classes) - 1) / 2)
        panel.errorbar(beside, *error_bars(found), color=colour, marker=marker, markersize=3.5, linewidth=0.9,
                       elinewidth=0.7, label=name)  # fmt: skip
    panel.grid()
