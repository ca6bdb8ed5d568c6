"""What of a report is tables and words: what there is, rounds, shift meters, certificates, where it all comes from."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from catbuilder.catalogue.status import status
from catbuilder.decisions.certificates import certificate_sentence, read_certificates, read_shifts
from catbuilder.reports.data import Scope
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


def glance_section(scope: Scope) -> ReportSection:
    """What is in the workspace, and the first numbers one asks for."""
    found = status(scope.workspace)
    rows = [tuple(_cell(value) for value in row.values()) for row in found.objects.to_pylist()]
    parts: list[Part] = []
    if scope.rounds:
        parts.append(Paragraph(_state(scope)))
    if not rows:
        parts.append(missing_part("Nothing is in yet. Next: catbuilder ingest images DIR --table T.csv --survey sdss"))
        return ReportSection("glance", "At a glance", parts)
    since = f", {found.recordings_since} recordings ago" if found.recordings_since else ""
    names = [name.replace("_", " ").capitalize() for name in found.objects.column_names]
    parts.append(ReportTable(f"Objects by survey and set, as they are now{since}.", names, rows))
    if not scope.rounds:
        parts.append(
            missing_part(
                (f"Round {scope.open_round} is not closed yet; finish it with: catbuilder round. " if scope.open_round
                 else "No round has been run yet; run one with: catbuilder round. ")
                + "Then this report shows accuracy against coverage, what was promoted, and how far it can be believed."
            )
        )  # fmt: skip
    return ReportSection("glance", "At a glance", parts)


def _state(scope: Scope) -> str:
    said = [f"The catalogue as it stood when round {scope.at} closed."]
    if scope.model != scope.at:
        of = (
            f"the scores are those of round {scope.model}"
            if scope.model
            else "and there are no scores of an earlier one"
        )
        said.append(f"That round scored nothing; {of}.")
    if scope.open_round is not None:
        said.append(f"Round {scope.open_round} is under way and is not in it.")
    ends = [
        f"{row['test_set']} in {row['survey'].upper()} " + with_interval(row["value"], row["low"], row["high"])
        for row in scope.curves.to_pylist()
        if row["coverage"] == 1 and row["round"] == scope.model
    ]
    if ends:
        said.append(
            "Its network is right on the fixed test sets, in per cent at full coverage with 95 per cent intervals: "
            f"{'; '.join(ends)}.{scope.known_by_heart}"
        )
    return " ".join(said)


def rounds_section(scope: Scope) -> ReportSection:
    """The rounds' table, and their accuracy."""
    rows = [
        (f"{row['round']}", row["recipe"], f"{row['seed']}", f"{row['ranks']}", _cell(row["training"]),
         _cell(row["promoted_before"]), _cell(row["epochs"]),
         "" if row["validation_loss"] is None else f"{row['validation_loss']:.4f}", _cell(row["scored"]),
         _promoted(row["promoted"]), _cell(row["retracted"]))
        for row in scope.rounds
    ]  # fmt: skip
    table = ReportTable(
        "Trained on: objects, and how many of them by labels that earlier rounds promoted. Loss: cross-entropy of "
        "the validation set. What was promoted of each class is told below.",
        ("Round", "Recipe", "Seed", "Processes", "Trained on", "Promoted before", "Epochs", "Loss", "Scored",
         "Promoted", "Retracted"),
        rows,
    )  # fmt: skip
    return ReportSection("rounds", "Rounds", [table, *_accuracy_by_round(scope)])


def _accuracy_by_round(scope: Scope) -> Iterator[ReportTable]:
    accuracy = {
        (row["round"], row["test_set"], row["survey"]): with_interval(row["value"], row["low"], row["high"])
        for row in scope.curves.to_pylist()
        if row["coverage"] == 1
    }
    sets = list(dict.fromkeys(key[1:] for key in accuracy))
    if sets:
        yield ReportTable(
            "Accuracy on the fixed test sets in per cent, at full coverage, with its 95 per cent interval (Wilson)."
            + scope.known_by_heart,
            ("Round", *(f"{test_set} {survey.upper()}" for test_set, survey in sets)),
            [(f"{row['round']}", *(accuracy.get((row["round"], *key), "") for key in sets)) for row in scope.rounds],
        )


def _promoted(details: str | None) -> str:
    """How many in all: what of each class is in another table, and ten classes leave no room for it here."""
    return f"{sum(json.loads(details).values()):,}" if details else ""


def shifts_section(scope: Scope) -> ReportSection:
    """The shift meters by round."""
    rows = [row for row in read_shifts(scope.workspace).to_pylist() if row["round"] <= scope.at]
    if not rows:
        return ReportSection("shifts", "Shift meters", [missing_part(
            "No shift is measured: no round has kept the features of enough galaxies of two samples ([scoring] "
            "pool_features and labelled_features, and a calibration set: --split calibration)"
        )])  # fmt: skip
    aucs = [row for row in rows if row["meter"] == "auc"]
    said = "; ".join(f"round {row['round']}, {_pair(row)}: {row['value']:.3f}" for row in aucs)
    drawing = Drawing(
        "shifts",
        "Left: how well a classifier tells two samples apart by their features, with 95 per cent intervals; at 0.5 "
        "it cannot. Labelled galaxies were trained on, which alone sets them apart: whether a certificate can be "
        "believed is said by calibration against pool. Right: Fréchet distance of the features, and what it would "
        "be by chance (hollow).",
        f"AUC of a classifier between samples. {said}.",
        partial(_draw_shifts, rows=rows),
    )
    return ReportSection("shifts", "Shift meters", [drawing, _priors(rows, scope.classes)])


def _priors(rows: Sequence[dict[str, Any]], classes: Sequence[str]) -> ReportTable:
    """A line a round and class, a column a pair of samples."""
    told = {
        (row["round"], row["class"], _pair(row)): with_interval(row["value"], row["low"], row["high"], signed=True)
        for row in rows
        if row["meter"] == "prior"
    }
    pairs = list(dict.fromkeys(pair for _, _, pair in told))
    lines = sorted({(number, name) for number, name, _ in told}, key=lambda line: (line[0], classes.index(line[1])))
    return ReportTable(
        "Share predicted of each class in the second sample less that in the first, in points, with its 95 per cent "
        "interval.",
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


def certificates_section(scope: Scope) -> ReportSection:
    """The certificates in words."""
    rows = [row for row in read_certificates(scope.workspace).to_pylist() if row["round"] <= scope.at]
    if not rows:
        return ReportSection("certificates", "Certificates", [missing_part(
            "There is no certificate: nothing is promised of what was promoted. They come with a recipe whose "
            "[promotion] has policy = "
            '"certified", and need labelled galaxies ingested with --split calibration'
        )])  # fmt: skip
    intro = Paragraph(
        "What is promised of each promoted batch, on what grounds, and what became of it since: standing labels and "
        f"audits are as they are now, also where this is the report of an earlier round. Up to round {scope.at}:"
    )
    return ReportSection(
        "certificates", "Certificates", [intro, Paragraph(items=[certificate_sentence(row) for row in rows])]
    )


def provenance_section(scope: Scope) -> ReportSection:
    """Software, recipe, models, commands."""
    return ReportSection("provenance", "Provenance", list(_provenance(scope)))


def _provenance(scope: Scope) -> Iterator[Part]:
    # the day of writing says nothing of the catalogue, and the same catalogue is to give the same report
    facts = [
        (fact.name, _cell(fact.value, plain=True), fact.comment or _meaning(fact.name))
        for fact in scope.facts
        if fact.name not in ("DATE", "ORIGIN")
    ]
    yield ReportTable(
        "What the labels come from, under the names that exports give it.", ("Name", "Value", "Meaning"), facts
    )
    if scope.recordings.num_rows:
        yield ReportTable(
            f"The latest {scope.recordings.num_rows} recordings up to this round; all are in the table runs.",
            ("Recording", "When (UTC)", "Command or step", "catbuilder", "Machine"),
            [(f"{row['run']}", f"{row['recorded_at']:%Y-%m-%d %H:%M:%S}", row["command"], row["version"], row["host"])
             for row in scope.recordings.to_pylist()],
        )  # fmt: skip
    if scope.recipe:
        yield Paragraph(f"The recipe of round {scope.at}, every setting of it:")
        yield Paragraph(scope.recipe, kind="verbatim")


def _meaning(name: str) -> str:
    """Of what is so long that a FITS card has no room for a comment."""
    ends = {"RECIPSHA": "SHA-256 of the recipe", "MODELSHA": "SHA-256 of the network's weights",
            "TR": "whose labels are held to be true", "PO": "objects that it is about",
            "SH": "SHA-256 of the calibration objects"}  # fmt: skip
    return next((said for end, said in ends.items() if name.endswith(end)), "")


def _cell(value: Any, plain: bool = False) -> str:
    """A value as text; ids and seeds are plain, counts have their thousands apart."""
    if value is None:
        return ""
    if isinstance(value, bool) or plain or not isinstance(value, int):
        return str(value)
    return f"{value:,}"
