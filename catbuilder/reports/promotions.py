"""What each round promoted, took back and asked people about, in numbers and in pictures.

Nothing tells of a round's mistakes like looking at the galaxies it was surest of, those it hardly dared, and those
that it has since thought better of.
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
from catbuilder.reports.data import MOSAIC_ROUNDS, STAMPS_A_ROW, Scope
from catbuilder.reports.figure_style import PAGE_INCHES
from catbuilder.reports.page_parts import Drawing, Part, ReportSection, ReportTable, missing_part

_SKY, _TEXT = "#17181c", "#e8e8ec"  # a mosaic is dark on every page, as its stamps are
_SIDE = 96  # px of a stamp in a mosaic: 115 an inch in print, and what demo and real recipes store at most
_CELL = _SIDE + 4  # px from a stamp to the next
_TITLE = 16  # px above a row
_LINE = 11  # px of a line of text
_GAP = 9  # px between rows
_ROW_EACH = 4  # classes of which each has a row of its own; of more, two share one
_CLASSES = 12  # that are shown: what fits a page
_NO_PROMOTION = (
    "Nothing has been promoted: the latest round found nothing that its policy allows, or it was given up; see the "
    "recipe under Provenance, and catbuilder shifts and certificates where the policy is certified"
)


def promotions_section(scope: Scope) -> ReportSection:
    """What was promoted, retracted and audited each round, with mosaics of the latest rounds."""
    return ReportSection("promotions", "Promoted, taken back, audited", list(_promotions(scope)))


def _promotions(scope: Scope) -> Iterator[Part]:
    if not scope.promotions:
        yield missing_part(_NO_PROMOTION)
        return
    yield _counts(scope)
    numbers = sorted({pick["round"] for pick in scope.picks})
    for number in numbers:
        yield _mosaic(scope, number)
    if not numbers:
        yield missing_part(
            "No picture: none of these objects has a stamp; bring them in with: catbuilder ingest images"
        )
    elif len(scope.rounds) > MOSAIC_ROUNDS:
        yield missing_part(
            f"Pictures are of the latest {MOSAIC_ROUNDS} rounds; of an earlier one with: catbuilder report --at ROUND"
        )


def _counts(scope: Scope) -> ReportTable:
    audits = {
        (row["round"], row["class"]): f"{row['audit']}: {row['answered']} of {row['sampled']} answered, "
        f"{row['wrong']} wrong"
        for row in read_certificates(scope.workspace).to_pylist()
        if row["audit"] is not None and row["round"] <= scope.at
    }  # fmt: skip
    place = {name: number for number, name in enumerate(scope.classes)}
    rows = [
        (f"{row['round']}", row["class"], f"{row['promoted']:,}", _share(row["least"]), _share(row["middle"]),
         f"{row['taken_back']:,}", f"{row['retracted']:,}")
        + ((audits.get((row["round"], row["class"]), "none"),) if audits else ())
        for row in sorted(scope.promotions, key=lambda row: (row["round"], place[row["class"]]))
    ]  # fmt: skip
    return ReportTable(
        f"Promotions by round and class; what of them was taken back by the end of round {scope.at}, and what each "
        "round took back of earlier ones. Confidence is the network's own, as it was promoted. "
        + ("Audits are as they are now." if audits else "There was no audit."),
        ("Round", "Class", "Promoted", "Least confidence", "Median", "Since taken back", "Took back")
        + (("Audit",) if audits else ()),
        rows,
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _mosaic(scope: Scope, number: int) -> Part:
    picks = [pick for pick in scope.picks if pick["round"] == number]
    blocks = list(_blocks(picks, scope.classes))
    shown = [pick for block in blocks for pick in block.members]
    try:
        stamps = StampReader(scope.workspace.path, [p["shard"] for p in shown], [p["row"] for p in shown]).read(
            np.arange(len(shown))
        )
    except WorkspaceError as error:
        return missing_part(f"No mosaic of round {number}: {error}")
    few = f" Of {len(scope.classes)} classes the first {_CLASSES}." if len(scope.classes) > _CLASSES else ""
    return Drawing(
        f"mosaic-{number:03d}",
        f"Round {number}: of each class the surest and the least sure that were promoted{_others(picks)}; with id, "
        f"survey and the confidence of that event.{few} As the network sees them, before augmentation.",
        f"Mosaic of {len(shown)} stamps of round {number}: " + ", ".join(block.title for block in blocks) + ".",
        partial(_draw_mosaic, blocks=blocks, stamps=stamps),
        "jpg",
    )


def _others(picks: Sequence[dict[str, Any]]) -> str:
    said = {"taken back": "those of which it thought better", "audited": "those that people were asked about"}
    there = [words for part, words in said.items() if any(pick["part"] == part for pick in picks)]
    return f", {' and '.join(there)}, with the class they had then" if there else ""


@dataclass(frozen=True)
class _Block:
    """Stamps beside one another, under a title."""

    title: str
    members: Sequence[dict[str, Any]]
    width: int  # in stamps, of which a row has `STAMPS_A_ROW`
    named: bool = False  # the class stands under each stamp


def _blocks(picks: Sequence[dict[str, Any]], classes: Sequence[str]) -> Iterator[_Block]:
    """Two rows of each of two classes; of more classes half a row or a quarter, so that one page holds them."""
    width = STAMPS_A_ROW if len(classes) <= _ROW_EACH else STAMPS_A_ROW // 2
    each = STAMPS_A_ROW if len(classes) == 2 else width // 2
    for name in classes[:_CLASSES]:
        surest, least = (
            [p for p in picks if (p["part"], p["label"]) == (part, name)][:each] for part in ("surest", "least sure")
        )
        twice = {(p["survey"], p["object_id"]) for p in surest}
        least = [p for p in least if (p["survey"], p["object_id"]) not in twice]
        if len(classes) == 2:
            parts = [_Block(f"{name}, {said}", m, width) for said, m in (("surest", surest), ("least sure", least))]
            yield from (part for part in parts if part.members)
        elif surest:
            yield _Block(f"{name}: {len(surest)} surest, {len(least)} least sure", surest + least, width)
    for part in ("taken back", "audited"):
        if members := [p for p in picks if p["part"] == part]:
            yield _Block(part, members, STAMPS_A_ROW, named=True)


def _draw_mosaic(blocks: Sequence[_Block], stamps: Stamps) -> Figure:
    """One picture for all stamps: an axis a stamp takes ten times as long to draw."""
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
    """Left and top of each block (px), row after row, and the height of all."""
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
    """Of the labels' type, in points: 6, or as much less as an id of eighteen digits needs to fit its stamp."""
    longest = max(len(line) for label in labels for line in label.split("\n"))
    return min(6.0, _CELL * 72 * PAGE_INCHES / (_CELL * STAMPS_A_ROW) / (0.63 * longest))


def _resized(stamp: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(stamp).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))


def _label(block: _Block, pick: dict[str, Any]) -> str:
    confidence = "" if pick["confidence"] is None else _near_one(pick["confidence"])
    named = [pick["label"]] if block.named else []
    return "\n".join([f"{pick['object_id']}", *named, ", ".join(filter(None, (pick["survey"], confidence)))])


def _near_one(confidence: float) -> str:
    """A confidence by what it lacks of one, where its own digits would all be nines."""
    return f"1−{1 - confidence:.0e}" if 0.99995 <= confidence < 1 else f"{confidence:.4f}"
