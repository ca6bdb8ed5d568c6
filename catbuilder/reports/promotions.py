"""The promotions section of the report: counts by round and class, and mosaics of stamps.

Mistakes of a round show best in the galaxies with the highest and lowest confidence, and in those that it retracted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from catbuilder.core.errors import WorkspaceError
from catbuilder.core.stamps import StampReader, Stamps
from catbuilder.decisions.certificates import read_certificates
from catbuilder.reports.data import MOSAIC_ROUNDS, STAMPS_A_ROW, ReportData
from catbuilder.reports.figure_style import PAGE_INCHES
from catbuilder.reports.page_parts import Drawing, Part, ReportSection, ReportTable, missing_part

_SKY, _TEXT = "#17181c", "#e8e8ec"  # a mosaic is dark on every page, as its stamps are
_SIDE = 96  # px of a stamp in a mosaic: 115 per inch in print, and the largest that demo and real recipes store
_CELL = _SIDE + 4  # px from a stamp to the next
_TITLE = 16  # px above a row
_LINE = 11  # px of a line of text
_GAP = 9  # px between rows
_ROW_EACH = 4  # up to so many classes have a row each; of more, two share a row
_CLASSES = 12  # shown in a mosaic: what fits on a page
_NO_PROMOTION = (
    "Nothing has been promoted: the policy of the latest round allowed nothing, or the round was abandoned; see the "
    "recipe under Provenance, and for the policy certified also: catbuilder shifts, catbuilder certificates"
)


def promotions_section(data: ReportData) -> ReportSection:
    """Make the section of promotions, retractions and audits by round, with mosaics of the latest rounds."""
    return ReportSection("promotions", "Promotions, retractions, audits", list(_promotions(data)))


def _promotions(data: ReportData) -> Iterator[Part]:
    if not data.promotions:
        yield missing_part(_NO_PROMOTION)
        return
    yield _counts(data)
    numbers = sorted({pick["round"] for pick in data.picks})
    for number in numbers:
        yield _mosaic(data, number)
    if not numbers:
        yield missing_part(
            "No mosaic: none of these objects has a stamp; bring images in with: catbuilder ingest images"
        )
    elif len(data.rounds) > MOSAIC_ROUNDS:
        yield missing_part(
            f"Mosaics show the latest {MOSAIC_ROUNDS} rounds; for an earlier one use: catbuilder report --at ROUND"
        )


def _counts(data: ReportData) -> ReportTable:
    audits = {
        (row["round"], row["class"]): f"{row['audit']}: {row['answered']} of {row['sampled']} answered, "
        f"{row['wrong']} wrong"
        for row in read_certificates(data.workspace).to_pylist()
        if row["audit"] is not None and row["round"] <= data.at
    }  # fmt: skip
    place = {name: number for number, name in enumerate(data.classes)}
    rows = [
        (f"{row['round']}", row["class"], f"{row['promoted']:,}", _share(row["least"]), _share(row["middle"]),
         f"{row['taken_back']:,}", f"{row['retracted']:,}")
        + ((audits.get((row["round"], row["class"]), "none"),) if audits else ())
        for row in sorted(data.promotions, key=lambda row: (row["round"], place[row["class"]]))
    ]  # fmt: skip
    return ReportTable(
        f"Promotions by round and class. Retracted since: by the end of round {data.at}. Retractions: those the round "
        "made of earlier promotions. Confidence is that of the network at the promotion. "
        + ("Audits are as of now." if audits else "There was no audit."),
        ("Round", "Class", "Promoted", "Lowest confidence", "Median", "Retracted since", "Retractions")
        + (("Audit",) if audits else ()),
        rows,
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _mosaic(data: ReportData, number: int) -> Part:
    picks = [pick for pick in data.picks if pick["round"] == number]
    blocks = list(_blocks(picks, data.classes))
    shown = [pick for block in blocks for pick in block.members]
    try:
        stamps = StampReader(data.workspace.path, [p["shard"] for p in shown], [p["row"] for p in shown]).read(
            np.arange(len(shown))
        )
    except WorkspaceError as error:
        return missing_part(f"No mosaic of round {number}: {error}")
    few = f" The first {_CLASSES} of {len(data.classes)} classes are shown." if len(data.classes) > _CLASSES else ""
    return Drawing(
        f"mosaic-{number:03d}",
        f"Round {number}: the most and the least confident promotions of each class{_others(picks)}, with id, survey "
        f"and the confidence at that event.{few} Stamps are as the network sees them, before augmentation.",
        f"Mosaic of {len(shown)} stamps of round {number}: " + ", ".join(block.title for block in blocks) + ".",
        partial(_draw_mosaic, blocks=blocks, stamps=stamps),
        "jpg",
    )


def _others(picks: Sequence[dict[str, Any]]) -> str:
    said = {"taken back": "its retractions", "audited": "the objects drawn for an audit"}
    there = [words for part, words in said.items() if any(pick["part"] == part for pick in picks)]
    return f", {' and '.join(there)}, with their class at that time" if there else ""


@dataclass(frozen=True)
class _Block:
    """Stamps in a row, under a title."""

    title: str
    members: Sequence[dict[str, Any]]
    width: int  # in stamps; a row holds `STAMPS_A_ROW`
    named: bool = False  # whether the class is written under each stamp


def _blocks(picks: Sequence[dict[str, Any]], classes: Sequence[str]) -> Iterator[_Block]:
    """Arrange the stamps: two rows for each of two classes; half a row or less if there are more, to fit one page."""
    width = STAMPS_A_ROW if len(classes) <= _ROW_EACH else STAMPS_A_ROW // 2
    each = STAMPS_A_ROW if len(classes) == 2 else width // 2
    for name in classes[:_CLASSES]:
        surest, least = (
            [p for p in picks if (p["part"], p["label"]) == (part, name)][:each] for part in ("surest", "least sure")
        )
        twice = {(p["survey"], p["object_id"]) for p in surest}
        least = [p for p in least if (p["survey"], p["object_id"]) not in twice]
        if len(classes) == 2:
            parts = [
                _Block(f"{name}, {said}", m, width)
                for said, m in (("most confident", surest), ("least confident", least))
            ]
            yield from (part for part in parts if part.members)
        elif surest:
            yield _Block(f"{name}: {len(surest)} most, {len(least)} least confident", surest + least, width)
    for part, title in (("taken back", "retracted"), ("audited", "audited")):
        if members := [p for p in picks if p["part"] == part]:
            yield _Block(title, members, STAMPS_A_ROW, named=True)


def _draw_mosaic(blocks: Sequence[_Block], stamps: Stamps) -> Figure:
    """Draw all stamps as one picture: with an axis for each stamp it would take ten times as long."""
    places, height = _placed(blocks)
    canvas = np.empty((height, _CELL * STAMPS_A_ROW, 3), np.uint8)
    canvas[:] = [int(_SKY[i : i + 2], 16) for i in (1, 3, 5)]
    figure = Figure(figsize=(PAGE_INCHES, PAGE_INCHES * height / canvas.shape[1]))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    size = _size([_label(block, pick) for block in blocks for pick in block.members])
    stamp = iter(stamps)
    for block, (left, top) in zip(blocks, places, strict=True):
        axes.text(left + 2, top + _TITLE - 5, block.title, fontsize=7.5, fontweight="bold", color=_TEXT)
        for pick in block.members:
            canvas[top + _TITLE : top + _TITLE + _SIDE, left : left + _SIDE] = _resized(next(stamp))
            axes.text(left, top + _TITLE + _SIDE + 3, _label(block, pick), fontsize=size, va="top", linespacing=1.15,
                      color=_TEXT)  # fmt: skip
            left += _CELL
    axes.imshow(canvas, interpolation="lanczos", extent=(0, canvas.shape[1], height, 0))
    return figure


def _placed(blocks: Sequence[_Block]) -> tuple[list[tuple[int, int]], int]:
    """Give the left and top edge of each block (px), row by row, and the total height."""
    places: list[tuple[int, int]] = []
    left, top, below = 0, 0, 0
    for block in blocks:
        if left + block.width * _CELL > STAMPS_A_ROW * _CELL:
            left, top = 0, below
        places.append((left, top))
        left += block.width * _CELL
        below = top + _TITLE + _SIDE + (3 if block.named else 2) * _LINE + _GAP
    return places, below


def _size(labels: Sequence[str]) -> float:
    """Give the font size of the labels in points: 6, or less if long ids would be wider than a stamp."""
    longest = max(len(line) for label in labels for line in label.split("\n"))
    return min(6.0, _CELL * 72 * PAGE_INCHES / (_CELL * STAMPS_A_ROW) / (0.63 * longest))


def _resized(stamp: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(stamp).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))


def _label(block: _Block, pick: dict[str, Any]) -> str:
    confidence = "" if pick["confidence"] is None else _near_one(pick["confidence"])
    named = [pick["label"]] if block.named else []
    return "\n".join([f"{pick['object_id']}", *named, ", ".join(filter(None, (pick["survey"], confidence)))])


def _near_one(confidence: float) -> str:
    """Write a confidence, as 1 minus a small number if its digits would all be nines."""
    return f"1−{1 - confidence:.0e}" if 0.99995 <= confidence < 1 else f"{confidence:.4f}"
