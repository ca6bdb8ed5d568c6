"""The sky map of the report, and its colour-magnitude and size-magnitude diagrams by predicted class.

The classes of galaxies are expected to differ in colour and size; their overlap shows whether the network learned more
than colour. Magnitudes are those of one survey, since photometric systems differ.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from catbuilder.reports.data import ReportData
from catbuilder.reports.figure_style import (
    INK,
    LINES,
    MANY_CLASSES,
    MARKERS,
    MUTED,
    PAGE_INCHES,
    add_class_legend,
    class_colour,
)
from catbuilder.reports.page_parts import Drawing, Part, ReportSection, missing_part

Floats = npt.NDArray[np.float64]

_POINTS = 4000  # shown in a diagram: more would be one blot
_LEAST = 20  # smallest number of objects for a diagram
_STEPS_DEG = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60)  # of the grid on the sky
_SETS = ("in no set", "pool", "training", "calibration", "test")  # in the order in which they are drawn


def sky_section(data: ReportData) -> ReportSection:
    """Make the section with the sky map of the objects of each set."""
    return ReportSection("sky", "On the sky", list(_sky(data)))


def photometry_section(data: ReportData) -> ReportSection:
    """Make the section with colour-magnitude and size-magnitude diagrams by predicted class."""
    return ReportSection("photometry", "Colour, magnitude and size", list(_photometry(data)))


def _sky(data: ReportData) -> Iterator[Part]:
    ra, dec = floats(data.sample, "ra"), floats(data.sample, "dec")
    placed = np.isfinite(ra) & np.isfinite(dec)
    if not placed.any():
        yield missing_part(
            "No sky map: none of the scored objects has a position; give ra and dec (ICRS, degrees) in the table of "
            "images, or ingest the catalogue of the survey with: catbuilder ingest des FILE"
        )
        return
    sets = np.array(
        ["test" if row["test_set"] else {"train": "training"}.get(row["split"], row["split"] or "in no set")
         for row in data.sample.select(["test_set", "split"]).to_pylist()], dtype=object,
    )[placed]  # fmt: skip
    sets[~np.isin(sets, _SETS)] = "in no set"
    said = ", ".join(f"{int((sets == name).sum()):,} {name}" for name in _SETS if (sets == name).any())
    yield Drawing(
        "sky",
        f"Scored objects by set: {said}; {int(placed.sum()):,} of the {data.scored:,} scored objects, all of them with "
        "a position. ICRS.",
        f"Sky map of {int(placed.sum()):,} objects: {said}.",
        partial(_draw_sky, ra=ra[placed], dec=dec[placed], sets=sets),
        "png",
    )


def _draw_sky(ra: Floats, dec: Floats, sets: npt.NDArray[np.object_]) -> Figure:
    """Draw the sky in the equal-area sinusoidal projection, which suits whole skies and small fields."""
    middle, across = _extent(ra)
    figure = Figure(figsize=(PAGE_INCHES, 4.0), layout="constrained")
    axes = figure.subplots()
    greys = MUTED, class_colour(9, 10)
    colours = dict(zip(_SETS, (*greys, *(class_colour(place, 3) for place in (2, 1, 0))), strict=True))
    for place, name in enumerate(_SETS):
        here = sets == name
        if here.any():
            axes.scatter(*_flat(ra[here], dec[here], middle), s=4, marker=MARKERS[place], linewidths=0,
                         color=colours[name], label=f"{name} ({int(here.sum()):,})", zorder=2)  # fmt: skip
    _sky_grid(axes, middle, across, dec)
    axes.set_aspect("equal")
    axes.set(xlabel="right ascension (deg)", ylabel="declination (deg)")
    figure.legend(loc="outside lower center", ncols=5, markerscale=2)
    return figure


def _flat(ra: Floats, dec: Floats, middle: float) -> tuple[Floats, Floats]:
    """Project positions, with east to the left."""
    offset = (ra - middle + 180) % 360 - 180
    return -offset * np.cos(np.radians(dec)), dec


def _sky_grid(axes: Axes, middle: float, across: float, dec: Floats) -> None:
    low, high = float(dec.min()), float(dec.max())
    margin = max(0.04 * (high - low), 0.005)
    low, high = max(-90.0, low - margin), min(90.0, high + margin)
    step = next((step for step in _STEPS_DEG if step >= across / 7), _STEPS_DEG[-1])
    along = np.linspace(low, high, 60)
    first = np.ceil((middle - across / 2 - step / 2) / step) * step
    meridians = [m for m in np.arange(first, middle + across / 2 + step / 2, step) if abs(m - middle) <= 180]
    ends = []
    for meridian in meridians:
        x = -(meridian - middle) * np.cos(np.radians(along))
        axes.plot(x, along, color=MUTED, linewidth=0.5, zorder=1)
        ends.append(float(x[0]))
    axes.set_xticks(ends, [f"{meridian % 360:g}" for meridian in np.round(meridians, 6)])
    axes.yaxis.grid()
    axes.set_ylim(low, high)


def _extent(ra: Floats) -> tuple[float, float]:
    """Give the middle and width (deg) of the shortest arc of right ascension that holds all objects."""
    ordered = np.sort(ra % 360)
    gaps = np.diff(ordered, append=ordered[0] + 360)
    widest = int(gaps.argmax())
    start, width = ordered[(widest + 1) % len(ordered)], 360 - gaps[widest]
    return float((start + width / 2) % 360), float(width)


def _photometry(data: ReportData) -> Iterator[Part]:
    objects = data.of_target()
    mag_r, size = floats(objects, "mag_r"), floats(objects, "radius_arcsec")
    colour = floats(objects, "mag_g") - mag_r
    survey = data.target.upper()
    names = np.array(objects["predicted_label"].to_pylist(), dtype=object)
    wanted = (
        ("colour", "colour-magnitude", colour, "g − r (mag)", "magnitudes in g and r"),
        (
            "size",
            "size-magnitude",
            np.log10(np.where(size > 0, size, np.nan)),
            "radius (arcsec)",
            "a radius and a magnitude in r",
        ),
    )
    for name, title, value, label, needed in wanted:
        known = np.isfinite(mag_r) & np.isfinite(value)
        if known.sum() < _LEAST:
            yield missing_part(
                f"No {title} diagram: {int(known.sum())} of the sampled {survey} objects have {needed}, and {_LEAST} "
                "are needed; give mag_g, mag_r and radius_arcsec in the table of images, or ingest the "
                "catalogue of the survey with: catbuilder ingest des FILE"
            )
            continue
        shown = np.flatnonzero(known)[:_POINTS]
        beside = (
            "median and middle 68 per cent of each class"
            if len(data.classes) > MANY_CLASSES
            else "distribution of each class, its area 1"
        )
        counts = ", ".join(f"{int((names[shown] == each).sum()):,} {each}" for each in data.classes)
        yield Drawing(
            f"{name}-magnitude",
            f"{title.capitalize()} diagram by predicted class: {counts}; {len(shown):,} of the {data.scored:,} "
            f"scored objects, of {survey} and its target population, without test sets. Large markers are medians of "
            f"equal numbers of objects. Right: {beside}.",
            f"{title.capitalize()} diagram of {counts}.",
            partial(
                _draw_diagram,
                x=mag_r[shown],
                y=value[shown],
                names=names[shown],
                classes=data.classes,
                label=label,
                log=name == "size",
            ),
            "png",
        )


def _draw_diagram(
    x: Floats, y: Floats, names: npt.NDArray[np.object_], classes: tuple[str, ...], label: str, log: bool
) -> Figure:
    figure = Figure(figsize=(PAGE_INCHES, 3.1), layout="constrained")
    panel, beside = figure.subplots(1, 2, width_ratios=(3, 1), sharey=True)
    many = len(classes) > MANY_CLASSES
    limits = np.nanpercentile(y, (0.5, 99.5)) + np.array([-0.1, 0.1]) * (1 if not log else 0.5)
    edges = list(np.linspace(float(limits[0]), float(limits[1]), 30))
    for place, name in enumerate(classes):
        here = names == name
        if not here.any():
            continue
        colour, marker = class_colour(place, len(classes)), MARKERS[place % len(MARKERS)]
        panel.scatter(x[here], y[here], s=4 if many else 7, alpha=0.55, linewidths=0, color=colour, marker=marker)
        _medians(panel, x[here], y[here], INK, colour, marker, name)
        if many:
            low, middle, high = np.percentile(y[here], (16, 50, 84))
            beside.errorbar(place, middle, [[middle - low], [high - middle]], color=colour, marker=marker,
                            markersize=5, markeredgecolor=INK, markeredgewidth=0.6)  # fmt: skip
        else:
            beside.hist(y[here], edges, histtype="step", orientation="horizontal", density=True, color=colour,
                        linewidth=1.2, linestyle=LINES[place])  # fmt: skip
    panel.set(xlabel="r (mag)", ylabel=label, ylim=limits, xlim=np.percentile(x, (0.2, 99.8)) + np.array([-0.1, 0.1]))
    if log:
        shown = [tick for tick in (0.5, 1, 2, 3, 5, 10, 20, 50) if limits[0] <= np.log10(tick) <= limits[1]]
        panel.set_yticks(np.log10(shown), [f"{tick:g}" for tick in shown])
    beside.set(xlabel="classes" if many else "density", xticks=[])
    add_class_legend(figure, panel, scale=1.0)
    panel.grid()
    return figure


def _medians(panel: Axes, x: Floats, y: Floats, ink: str, colour: str, marker: str, name: str) -> None:
    """Draw a line through the medians of up to six bins in magnitude, each of twenty objects or more."""
    steps = [part for part in np.array_split(np.argsort(x, kind="stable"), max(1, min(6, len(x) // 20))) if len(part)]
    middle = [(float(np.median(x[part])), float(np.median(y[part]))) for part in steps]
    panel.plot(
        *zip(*middle, strict=True), color=colour, marker=marker, markersize=6, markeredgecolor=ink, linewidth=1.6,
        label=name,
    )  # fmt: skip


def floats(table: pa.Table, name: str) -> Floats:
    """Return a column as float64 (n,), with NaN for NULL."""
    return np.asarray(pc.cast(table[name], pa.float64()).to_numpy(), np.float64)
