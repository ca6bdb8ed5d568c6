"""Check the predictions without colour: axis ratio by class, and class shares against seeing, depth and tile.

The network has seen the colours, so agreement in colour proves nothing. Discs are seen at any angle, but no elliptical
in the strict sense is flatter than E7. So a galaxy flatter than 0.3 that is called elliptical is a disc seen edge-on: a
spiral called wrongly, or a lenticular, which most volunteers count as an elliptical. And the type of a galaxy does not
depend on the observing conditions: where a class share varies with seeing, depth or tile, the network has partly
learned the survey.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import galsim
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from matplotlib.figure import Figure

from catbuilder.core.errors import WorkspaceError
from catbuilder.core.stamps import StampReader
from catbuilder.decisions.measures import proportion
from catbuilder.reports.data import ReportData
from catbuilder.reports.figure_style import INK, LINES, MANY_CLASSES, PAGE_INCHES, add_class_legend, class_colour
from catbuilder.reports.page_parts import Drawing, Part, ReportSection, ReportTable, missing_part, with_interval
from catbuilder.reports.tiles import Names, describe_difference, difference_p_value, draw_shares, tiles_part

Floats = npt.NDArray[np.float64]

FLATTEST_ELLIPTICAL = 0.3  # E7 (Sandage 1961)
_MEASURED_STAMPS = 1500  # 0.4 ms each
_LEAST = 50  # smallest number of objects with a value for which a check is made
_BINS = 6
_SEEING = re.compile(r"(seeing|psf_?fwhm|fwhm_?(psf|wmean)|psf_size)")
_DEPTH = re.compile(r"(maglim|mag_lim|depth|limiting_mag|skysig|sky_sigma)")


@dataclass(frozen=True)
class _Condition:
    """An observing condition, such as the seeing, with its value for each object."""

    name: str  # of the axis
    values: Floats  # (n,), NaN if unknown


def checks_section(data: ReportData) -> ReportSection:
    """Make the section of checks: axis ratio by class, and class shares against seeing, depth and tile."""
    return ReportSection("checks", "Checks that do not use colour", list(_checks(data)))


def _checks(data: ReportData) -> Iterator[Part]:
    objects = data.of_target()
    names = np.array(objects["predicted_label"].to_pylist(), dtype=object)
    if objects.num_rows < _LEAST:
        yield missing_part(
            f"No check: {objects.num_rows} objects of {data.target.upper()} and its target population are scored, "
            f"and {_LEAST} are needed; bring in a pool with: catbuilder ingest images DIR --table T.csv --survey "
            f"{data.target} --split pool"
        )
        return
    yield from _axis_ratio(data, objects, names)
    measured = _aligned(objects, data.measured)
    seeing = _condition(measured, data.units, _SEEING, "seeing")
    depth = _condition(measured, data.units, _DEPTH, "depth") or _exposures(measured)
    found = [condition for condition in (seeing, depth) if condition is not None]
    if found:
        yield _against(data, names, found)
    if seeing is None:
        yield missing_part(
            "No check against seeing: the catalogue has no such column; keep that of the archive when you ingest its "
            "table, as in: catbuilder ingest des FILE --keep psf_fwhm_i"
        )
    if depth is None:
        yield missing_part(
            "No check against depth: the catalogue has neither NEPOCHS nor a limiting magnitude; ingest the DES "
            "main table, or keep such a column: catbuilder ingest des FILE --keep maglim_i"
        )
    yield tiles_part(data, objects, names, measured)


def _aligned(objects: pa.Table, measured: pa.Table) -> dict[str, list[object]]:
    """Put the columns measured by the archive in the order of the objects, with None for missing values."""
    place = {key: row for row, key in enumerate(_keys(measured))}
    rows = pa.array([place.get(key) for key in _keys(objects)], pa.int64())
    return {
        name: measured[name].take(rows).to_pylist()
        for name in measured.column_names
        if name not in ("survey", "object_id")
    }


def _keys(table: pa.Table) -> list[tuple[str, int]]:
    return list(zip(table["survey"].to_pylist(), table["object_id"].to_pylist(), strict=True))


def _condition(
    measured: dict[str, list[object]], units: Mapping[str, str], pattern: re.Pattern[str], what: str
) -> _Condition | None:
    """Find the first kept column of numbers whose name matches the pattern."""
    for name, values in measured.items():
        if pattern.search(name.lower()):
            numbers = _numbers(values)
            if np.isfinite(numbers).sum() >= _LEAST:
                unit = f", {units[name]}" if units.get(name) else ""
                return _Condition(f"{what} ({name}{unit})", numbers)
    return None


def _exposures(measured: dict[str, list[object]]) -> _Condition | None:
    """Use the number of exposures in the coadd as its depth."""
    numbers = _numbers(measured.get("nepochs_r", []))
    return _Condition("depth (exposures in r)", numbers) if np.isfinite(numbers).sum() >= _LEAST else None


def _numbers(values: Sequence[object]) -> Floats:
    return np.array([float(v) if isinstance(v, int | float) else np.nan for v in values], np.float64)


def _axis_ratio(data: ReportData, objects: pa.Table, names: Names) -> Iterator[Part]:
    measured = _aligned(objects, data.measured)
    ratio = np.full(len(names), np.nan)
    if "a_image" in measured:
        a, b = _numbers(measured["a_image"]), _numbers(measured["b_image"])
        ratio = np.where(a > 0, b / np.where(a > 0, a, 1), np.nan)
    how = "from A_IMAGE and B_IMAGE of the DES catalogue (second moments above the threshold)"
    if np.isfinite(ratio).sum() < _LEAST:
        try:
            ratio = _from_stamps(data, objects)
        except WorkspaceError as error:
            yield missing_part(f"No axis ratio: {error}")
            return
        how = (
            "from adaptive second moments of the stamps' mean band (Hirata and Seljak 2003), seeing and stretch "
            "included, which make objects rounder"
        )
    known = np.isfinite(ratio)
    if known.sum() < _LEAST:
        yield missing_part(
            f"No axis ratio: it could be measured for {int(known.sum())} objects, and {_LEAST} are needed; ingest "
            "the DES main table, which has A_IMAGE and B_IMAGE, with: catbuilder ingest des FILE"
        )
        return
    ratio, names = ratio[known], names[known]
    rows = list(_flat(ratio, names, data.classes))
    said = "; ".join(
        f"{name}: median {middle}, {share} % flatter than {FLATTEST_ELLIPTICAL} ({n})"
        for name, n, middle, share in rows
    )
    many = len(data.classes) > MANY_CLASSES
    yield Drawing(
        "axis-ratio",
        f"Axis ratio b/a by predicted class, {how}; {len(ratio):,} of the {data.scored:,} scored objects. "
        f"Ellipticals flatter than {FLATTEST_ELLIPTICAL} (dotted, E7) are discs seen edge-on: spirals called wrongly, "
        "or lenticulars, which most volunteers count as ellipticals." + ("" if many else f" {said}."),
        f"Distribution of axis ratios. {said}.",
        partial(_draw_axis_ratio, ratio=ratio, names=names, classes=data.classes),
    )
    if many:
        yield ReportTable(
            f"Axis ratios: the median of each predicted class, and how many per cent are flatter than "
            f"{FLATTEST_ELLIPTICAL}, with the 95 per cent interval.",
            ("Class", "n", "Median", f"Flatter than {FLATTEST_ELLIPTICAL}"),
            rows,
        )


def _flat(ratio: Floats, names: Names, classes: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
    """Give each class, its number of objects, their median axis ratio, and the share of flat ones."""
    for name in classes:
        own = ratio[names == name]
        if len(own):
            flat = proportion("flat", int((own < FLATTEST_ELLIPTICAL).sum()), len(own), 1.0)
            share = with_interval(flat.value or 0.0, flat.low or 0.0, flat.high or 0.0)
            yield name, f"{len(own):,}", f"{np.median(own):.2f}", share


def _from_stamps(data: ReportData, objects: pa.Table) -> Floats:
    """Measure the axis ratio of the first objects on their stamps, (n,); NaN if the fit fails, and for the others."""
    shown = objects.slice(0, _MEASURED_STAMPS)
    reader = StampReader(data.workspace.path, shown["shard"].to_pylist(), shown["row"].to_pylist())
    ratio = np.full(objects.num_rows, np.nan)
    for place in range(len(reader)):
        light = reader.read([place])[0].mean(axis=2)
        light = light - np.median(np.concatenate([light[:3].ravel(), light[-3:].ravel()]))
        found = galsim.hsm.FindAdaptiveMom(galsim.Image(light), guess_sig=reader.size / 10, strict=False)
        if found.moments_status == 0:
            ratio[place] = found.observed_shape.q
    return ratio


def _draw_axis_ratio(ratio: Floats, names: Names, classes: Sequence[str]) -> Figure:
    figure = Figure(figsize=(PAGE_INCHES * 0.72, 2.7), layout="constrained")
    panel = figure.subplots()
    many = len(classes) > MANY_CLASSES
    for place, name in enumerate(classes):
        own = ratio[names == name]
        colour, line = class_colour(place, len(classes)), LINES[place % len(LINES)]
        label = f"{name} ({len(own):,})"
        if len(own) and many:
            panel.ecdf(own, label=label, color=colour, linestyle=line)
        elif len(own):
            panel.hist(own, list(np.linspace(0, 1, 21)), histtype="step", density=True, linewidth=1.5, label=label,
                       color=colour, linestyle=line)  # fmt: skip
    panel.axvline(FLATTEST_ELLIPTICAL, color=INK, linewidth=0.8, linestyle=":")
    density = "share of the class that is flatter" if many else "objects per unit (each class to 1)"
    panel.set(xlabel="axis ratio b/a", ylabel=density, xlim=(0, 1))
    add_class_legend(figure, panel, "upper left")
    panel.grid()
    return figure


def _against(data: ReportData, names: Names, conditions: Sequence[_Condition]) -> Part:
    said = []
    for condition in conditions:
        steps = _steps(condition.values)
        inside = np.searchsorted(steps[1:-1], condition.values, side="right")[np.isfinite(condition.values)]
        p = difference_p_value(inside, names[np.isfinite(condition.values)])
        said.append(f"{condition.name}: {describe_difference(p)}")
    return Drawing(
        "conditions",
        "Predicted share of each class against observing conditions, in bins of equal numbers, with "
        f"Wilson's 95 per cent intervals. {'; '.join(said)} (chi squared).",
        f"Predicted share against observing conditions. {'; '.join(said)}.",
        partial(_draw_against, names=names, conditions=conditions, classes=data.classes),
    )


def _steps(values: Floats) -> Floats:
    return np.unique(np.nanquantile(values, np.linspace(0, 1, _BINS + 1)))


def _draw_against(names: Names, conditions: Sequence[_Condition], classes: Sequence[str]) -> Figure:
    figure = Figure(figsize=(PAGE_INCHES * 0.5 * max(len(conditions), 1), 2.6), layout="constrained")
    panels = figure.subplots(1, len(conditions), squeeze=False, sharey=True)[0]
    for panel, condition in zip(panels, conditions, strict=True):
        known = np.isfinite(condition.values)
        steps = _steps(condition.values)
        inside = np.searchsorted(steps[1:-1], condition.values, side="right")
        groups = [known & (inside == number) for number in range(max(1, len(steps) - 1))]
        groups = [here for here in groups if here.any()]
        draw_shares(
            panel,
            [float(np.median(condition.values[here])) for here in groups],
            [names[here] for here in groups],
            classes,
        )
        panel.set(xlabel=condition.name)
    panels[0].set_ylabel("share predicted")
    panels[0].set_ylim(0, 1 if len(classes) <= MANY_CLASSES else None)
    add_class_legend(figure, panels[0])
    return figure
