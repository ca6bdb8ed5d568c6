"""What each round promoted, took back and asked people about, in numbers and in pictures.

Nothing tells of a round's mistakes like looking at the galaxies it was surest of, those it hardly dared, and those
that it has since thought better of.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from catbuilder.certificates import read_certificates
from catbuilder.errors import WorkspaceError
from catbuilder.report_parts import PAGE_INCHES, Drawing, Part, Section, Table, Theme, missing
from catbuilder.report_scope import MOSAIC_ROUNDS, STAMPS_A_ROW, Scope
from catbuilder.stamps import StampReader, Stamps

_SIDE = 96  # px of a stamp in a mosaic: 115 an inch in print, and what demo and real recipes store at most
_CLASSES = 4  # of which a mosaic has rows; ten would be two pages a round
_NO_PROMOTION = (
    "Nothing has been promoted: the latest round found nothing that its policy allows, or it was given up; see the "
    "recipe under Provenance, and catbuilder shifts and certificates where the policy is certified"
)


def promotions_section(scope: Scope) -> Section:
    """What was promoted, retracted and audited each round, with mosaics of the latest rounds."""
    return Section("promotions", "Promoted, taken back, audited", list(_promotions(scope)))


def _promotions(scope: Scope) -> Iterator[Part]:
    if not scope.promotions:
        yield missing(_NO_PROMOTION)
        return
    yield _counts(scope)
    numbers = sorted({pick["round"] for pick in scope.picks})
    for number in numbers:
        yield _mosaic(scope, number)
    if not numbers:
        yield missing("No picture: none of these objects has a stamp; bring them in with: catbuilder ingest images")
    elif len(scope.rounds) > MOSAIC_ROUNDS:
        yield missing(
            f"Pictures are of the latest {MOSAIC_ROUNDS} rounds; of an earlier one with: catbuilder report --at ROUND"
        )


def _counts(scope: Scope) -> Table:
    audits = {
        (
            row["round"],
            row["class"],
        ): f"{row['audit']}: {row['answered']} of {row['sampled']} answered, {row['wrong']} wrong"
        for row in read_certificates(scope.workspace).to_pylist()
        if row["audit"] is not None
    }
    rows = [
        (f"{row['round']}", row["class"], f"{row['promoted']:,}", _share(row["least"]), _share(row["middle"]),
         f"{row['taken_back']:,}", f"{row['retracted']:,}", audits.get((row["round"], row["class"]), "no audit"))
        for row in scope.promotions
    ]  # fmt: skip
    return Table(
        f"Promotions by round and class; what of them was taken back by the end of round {scope.at}, and what each "
        "round took back of earlier ones. Confidence is the network's own, as it was promoted.",
        ("Round", "Class", "Promoted", "Least confidence", "Median", "Since taken back", "Took back", "Audit"),
        rows,
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _mosaic(scope: Scope, number: int) -> Part:
    picks = [pick for pick in scope.picks if pick["round"] == number]
    rows = [row for row in _rows(picks, scope.classes) if row[1]]
    shown = [pick for _, members in rows for pick in members]
    try:
        stamps = StampReader(scope.workspace.path, [p["shard"] for p in shown], [p["row"] for p in shown]).read(
            np.arange(len(shown))
        )
    except WorkspaceError as error:
        return missing(f"No mosaic of round {number}: {error}")
    few = (
        ""
        if len(scope.classes) <= _CLASSES
        else f" Of {len(scope.classes)} classes the first {_CLASSES} that were promoted."
    )
    return Drawing(
        f"mosaic-{number:03d}",
        f"Round {number}: of each class the surest and the least sure that were promoted, up to {STAMPS_A_ROW} "
        f"each{_others(rows)}; with survey, id and the confidence of that event.{few} As the network sees them, "
        "before augmentation.",
        f"Mosaic of {len(shown)} stamps of round {number}: "
        + ", ".join(f"{len(m)} {title}" for title, m in rows)
        + ".",
        partial(_draw_mosaic, rows=rows, stamps=stamps),
        "jpg",
    )


def _others(rows: Sequence[tuple[str, Any]]) -> str:
    said = {"taken back": "those of which it thought better", "audited": "those that people were asked about"}
    there = [words for part, words in said.items() if any(title == part for title, _ in rows)]
    return f"; {' and '.join(there)}" if there else ""


def _rows(picks: Sequence[dict[str, Any]], classes: Sequence[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    promoted = [name for name in classes if any(p["label"] == name and p["part"] == "surest" for p in picks)]
    for name in promoted[:_CLASSES]:
        for part in ("surest", "least sure"):
            yield f"{name}, {part}", [p for p in picks if (p["part"], p["label"]) == (part, name)]
    for part in ("taken back", "audited"):
        yield part, [p for p in picks if p["part"] == part]


def _draw_mosaic(theme: Theme, rows: Sequence[tuple[str, list[dict[str, Any]]]], stamps: Stamps) -> Figure:
    """One picture for all stamps: an axis a stamp takes ten times as long to draw."""
    cell = (_SIDE + 4, _SIDE + 28)  # px, across and down, with room for two lines of text
    title = 16
    height = len(rows) * (cell[1] + title)
    canvas = np.empty((height, cell[0] * STAMPS_A_ROW, 3), np.uint8)
    canvas[:] = [int(theme.paper[i : i + 2], 16) for i in (1, 3, 5)]
    figure = Figure(figsize=(PAGE_INCHES, PAGE_INCHES * height / canvas.shape[1]))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    place = 0
    for down, (name, members) in enumerate(rows):
        top = down * (cell[1] + title)
        axes.text(2, top + title - 5, name, fontsize=7.5, fontweight="bold", color=theme.ink)
        for across, pick in enumerate(members):
            left = across * cell[0]
            canvas[top + title : top + title + _SIDE, left : left + _SIDE] = _resized(stamps[place])
            axes.text(
                left,
                top + title + _SIDE + 3,
                _label(name, pick),
                fontsize=5.2,
                va="top",
                linespacing=1.15,
                color=theme.ink,
            )
            place += 1
    axes.imshow(canvas, interpolation="lanczos", extent=(0, canvas.shape[1], height, 0))
    return figure


def _resized(stamp: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(stamp).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))


def _label(row: str, pick: dict[str, Any]) -> str:
    what = {"taken back": f"was {pick['label']}", "audited": f"as {pick['label']}"}.get(row, "")
    confidence = "" if pick["confidence"] is None else _near_one(pick["confidence"])
    return f"{pick['object_id']}\n{', '.join(filter(None, (pick['survey'], what, confidence)))}"


def _near_one(confidence: float) -> str:
    """A confidence by what it lacks of one, where its own digits would all be nines."""
    return f"1−{1 - confidence:.0e}" if 0.99995 <= confidence < 1 else f"{confidence:.4f}"
