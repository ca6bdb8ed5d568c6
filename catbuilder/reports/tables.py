"""The sections of the report that are tables: overview, rounds, shift meters, certificates, provenance."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from catbuilder.catalogue.status import status
from catbuilder.decisions.certificates import certificate_sentence, read_certificates, read_shifts
from catbuilder.reports.data import ReportData
from catbuilder.reports.figure_style import INK, MARKERS, PAGE_INCHES, class_colour
from catbuilder.reports.page_parts import (
    Drawing,
    Paragraph,
    Part,
    ReportSection,
    ReportTable,
    missing_part,
    with_interval,
)


def overview_section(data: ReportData) -> ReportSection:
    """Make the overview: objects by survey and set, and the accuracy of the latest network."""
    found = status(data.workspace)
    rows = [tuple(_cell(value) for value in row.values()) for row in found.objects.to_pylist()]
    parts: list[Part] = []
    if data.rounds:
        parts.append(Paragraph(_state(data)))
    if not rows:
        parts.append(
            missing_part("The catalogue is empty. Next: catbuilder ingest images DIR --table T.csv --survey sdss")
        )
        return ReportSection("glance", "At a glance", parts)
    since = f" ({found.recordings_since} recordings ago)" if found.recordings_since else ""
    names = [name.replace("_", " ").capitalize() for name in found.objects.column_names]
    parts.append(ReportTable(f"Objects by survey and set, as they are now{since}.", names, rows))
    if not data.rounds:
        parts.append(
            missing_part(
                (f"Round {data.open_round} is not closed yet; complete it with: catbuilder round. " if data.open_round
                 else "No round has been run yet; run one with: catbuilder round. ")
                + "Then this report shows accuracy against coverage, promotions, and checks of their reliability."
            )
        )  # fmt: skip
    return ReportSection("glance", "At a glance", parts)


def _state(data: ReportData) -> str:
    said = [f"The catalogue as of the end of round {data.at}."]
    if data.model != data.at:
        of = (
            f"the scores are those of round {data.model}" if data.model else "and there are no scores of an earlier one"
        )
        said.append(f"That round scored nothing; {of}.")
    if data.open_round is not None:
        said.append(f"Round {data.open_round} is not closed yet and is not included.")
    ends = [
        f"{row['test_set']} in {row['survey'].upper()} " + with_interval(row["value"], row["low"], row["high"])
        for row in data.curves.to_pylist()
        if row["coverage"] == 1 and row["round"] == data.model
    ]
    if ends:
        said.append(
            "Accuracy of its network on the fixed test sets, in per cent at full coverage with 95 per cent intervals: "
            f"{'; '.join(ends)}.{data.memorised_warning}"
        )
    return " ".join(said)


def rounds_section(data: ReportData) -> ReportSection:
    """Make the table of rounds, and that of their accuracy."""
    # a column more would not fit the page's width, so the two that only some recipes fill stand where they are filled
    extra = {"Promoted before": "promoted_before", "Taught": "taught"}
    extra = {title: name for title, name in extra.items() if any(row[name] for row in data.rounds)}
    rows = [
        (f"{row['round']}", row["recipe"], f"{row['seed']}", f"{row['ranks']}", _cell(row["training"]),
         *(_cell(row[name]) for name in extra.values()), _cell(row["epochs"]),
         "" if row["validation_loss"] is None else f"{row['validation_loss']:.4f}", _cell(row["scored"]),
         _promoted(row["promoted"]), _cell(row["retracted"]))
        for row in data.rounds
    ]  # fmt: skip
    refused = "".join(
        f" The model of round {row['round']} does not speak: {row['refused']}." for row in data.rounds if row["refused"]
    )
    table = ReportTable(
        "Trained on: number of objects; promoted before: how many of them have labels promoted by earlier rounds. "
        "Taught: images without a label that trained by an earlier model's predictions. Loss: cross-entropy of the "
        "validation set. Promotions by class are below." + refused,
        ("Round", "Recipe", "Seed", "Processes", "Trained on", *extra, "Epochs", "Loss", "Scored", "Promoted",
         "Retracted"),
        rows,
    )  # fmt: skip
    return ReportSection("rounds", "Rounds", [table, *_accuracy_by_round(data)])


def _accuracy_by_round(data: ReportData) -> Iterator[ReportTable]:
    accuracy = {
        (row["round"], row["test_set"], row["survey"]): with_interval(row["value"], row["low"], row["high"])
        for row in data.curves.to_pylist()
        if row["coverage"] == 1
    }
    sets = list(dict.fromkeys(key[1:] for key in accuracy))
    if sets:
        yield ReportTable(
            "Accuracy on the fixed test sets in per cent, at full coverage, with its 95 per cent interval (Wilson)."
            + data.memorised_warning,
            ("Round", *(f"{test_set} {survey.upper()}" for test_set, survey in sets)),
            [(f"{row['round']}", *(accuracy.get((row["round"], *key), "") for key in sets)) for row in data.rounds],
        )


def _promoted(details: str | None) -> str:
    """Sum the promotions of all classes; another table has those of each, for which ten classes leave no room here."""
    return f"{sum(json.loads(details).values()):,}" if details else ""


def shifts_section(data: ReportData) -> ReportSection:
    """Make the section of shift meters by round."""
    rows = [row for row in read_shifts(data.workspace).to_pylist() if row["round"] <= data.at]
    if not rows:
        return ReportSection("shifts", "Shift meters", [missing_part(
            "No shift is measured: no round has kept the features of enough galaxies in two samples (see "
            "pool_features and labelled_features under [scoring]; a calibration set needs --split calibration)"
        )])  # fmt: skip
    aucs = [row for row in rows if row["meter"] == "auc"]
    said = "; ".join(f"round {row['round']}, {_pair(row)}: {row['value']:.3f}" for row in aucs)
    drawing = Drawing(
        "shifts",
        "Left: AUC of a classifier that separates two samples by their features, with 95 per cent intervals; 0.5 "
        "means that it cannot. Labelled galaxies were trained on, which alone makes them differ, so the reliability "
        "of certificates shows in calibration and pool. Right: Fréchet distance of the features, and its value by "
        "chance (hollow).",
        f"AUC of a classifier between samples. {said}.",
        partial(_draw_shifts, rows=rows),
    )
    return ReportSection("shifts", "Shift meters", [drawing, _priors(rows, data.classes)])


def _priors(rows: Sequence[dict[str, Any]], classes: Sequence[str]) -> ReportTable:
    """Make a table with a row for each round and class, and a column for each pair of samples."""
    told = {
        (row["round"], row["class"], _pair(row)): with_interval(row["value"], row["low"], row["high"], signed=True)
        for row in rows
        if row["meter"] == "prior"
    }
    pairs = list(dict.fromkeys(pair for _, _, pair in told))
    lines = sorted({(number, name) for number, name, _ in told}, key=lambda line: (line[0], classes.index(line[1])))
    return ReportTable(
        "Predicted share of each class in the second sample minus that in the first, in percentage points, with its "
        "95 per cent interval.",
        ("Round", "Class", *(pair.capitalize() for pair in pairs)),
        [(f"{number}", name, *(told.get((number, name, pair), "") for pair in pairs)) for number, name in lines],
    )


def _pair(row: dict[str, Any]) -> str:
    return f"{row['sample_a']} and {row['sample_b']}"


def _draw_shifts(rows: Sequence[dict[str, Any]]) -> Figure:
    figure = Figure(figsize=(PAGE_INCHES, 2.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    pairs = list(dict.fromkeys(_pair(row) for row in rows))
    rounds = sorted({row["round"] for row in rows})
    for place, pair in enumerate(pairs):
        own = [row for row in rows if _pair(row) == pair]
        style = {"color": class_colour(place, 3), "marker": MARKERS[place], "markersize": 4}
        aucs, distances, noises = (
            [row for row in own if row["meter"] == meter] for meter in ("auc", "frechet", "frechet_noise")
        )
        ends = [[row["value"] - row["low"] for row in aucs], [row["high"] - row["value"] for row in aucs]]
        shift = (place - (len(pairs) - 1) / 2) * 0.06
        left.errorbar(
            [row["round"] + shift for row in aucs],
            [row["value"] for row in aucs],
            ends,
            label=pair,
            elinewidth=0.8,
            **style,
        )
        right.plot([row["round"] for row in distances], [row["value"] for row in distances], **style)
        right.plot(
            [row["round"] for row in noises],
            [row["value"] for row in noises],
            **style,
            markerfacecolor="none",
            linestyle=":",
        )
    left.axhline(0.5, color=INK, linewidth=0.8, linestyle=":")
    left.set(xlabel="round", ylabel="AUC", xticks=rounds, ylim=(min(0.45, *left.get_ylim()), 1.02))
    right.set(xlabel="round", ylabel="Fréchet distance", xticks=rounds, ylim=(0, None))
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    for panel in (left, right):
        panel.set_xlim(rounds[0] - 0.4, rounds[-1] + 0.4)
        panel.grid()
    return figure


def certificates_section(data: ReportData) -> ReportSection:
    """Make the section of certificates, a sentence each."""
    rows = [row for row in read_certificates(data.workspace).to_pylist() if row["round"] <= data.at]
    if not rows:
        return ReportSection("certificates", "Certificates", [missing_part(
            "There is no certificate: no error bound is known for the promotions. Certificates need a recipe with "
            'policy = "certified" under [promotion], and labelled galaxies ingested with --split calibration'
        )])  # fmt: skip
    intro = Paragraph(
        "The error bound of each promoted batch, the calibration behind it, and its state since. Current labels and "
        f"audits are as of now, also in the report of an earlier round. Up to round {data.at}:"
    )
    return ReportSection(
        "certificates", "Certificates", [intro, Paragraph(items=[certificate_sentence(row) for row in rows])]
    )


def provenance_section(data: ReportData) -> ReportSection:
    """Make the section of provenance: software, recipe, models, commands."""
    return ReportSection("provenance", "Provenance", list(_provenance(data)))


def _provenance(data: ReportData) -> Iterator[Part]:
    # the date of writing is left out: the same catalogue must give the same report
    facts = [
        (fact.name, _cell(fact.value, plain=True), fact.comment or _meaning(fact.name))
        for fact in data.facts
        if fact.name not in ("DATE", "ORIGIN")
    ]
    yield ReportTable("Provenance of the labels, under the names used in exports.", ("Name", "Value", "Meaning"), facts)
    if data.recordings.num_rows:
        yield ReportTable(
            f"The latest {data.recordings.num_rows} recordings up to this round; the table runs has all.",
            ("Recording", "When (UTC)", "Command or step", "catbuilder", "Machine"),
            [(f"{row['run']}", f"{row['recorded_at']:%Y-%m-%d %H:%M:%S}", row["command"], row["version"], row["host"])
             for row in data.recordings.to_pylist()],
        )  # fmt: skip
    if data.recipe:
        yield Paragraph(f"The recipe of round {data.at}, with every setting:")
        yield Paragraph(data.recipe, kind="verbatim")


def _meaning(name: str) -> str:
    """Describe entries whose FITS card has no room for a comment."""
    ends = {"RECIPSHA": "SHA-256 of the recipe", "MODELSHA": "SHA-256 of the network's weights",
            "TR": "source of the labels taken as true", "PO": "objects that it covers",
            "SH": "SHA-256 of the calibration objects"}  # fmt: skip
    return next((said for end, said in ends.items() if name.endswith(end)), "")


def _cell(value: Any, plain: bool = False) -> str:
    """Write a value as text; counts get thousands separators, ids and seeds (`plain`) do not."""
    if value is None:
        return ""
    if isinstance(value, bool) or plain or not isinstance(value, int):
        return str(value)
    return f"{value:,}"
