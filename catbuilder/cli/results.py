"""The verbs that show the results of rounds: metrics, report, certificates and shifts."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from catbuilder.cli.options import FIGURE, FOLDER, FormatOption, WorkspaceOption, open_workspace

if TYPE_CHECKING:
    from catbuilder.catalogue.workspace import Workspace

_Bins = Literal["mag_r", "radius_arcsec", "colour"]
_NO_TEST = {"validation", "calibration"}  # they guide training or promotion, so they do not measure the catalogue
_DECLARE = (
    "declare one whose true classes are known with: catbuilder testset NAME --survey SURVEY --table T.csv, and finish "
    "a round with: catbuilder round"
)


def metrics(
    numbers: Annotated[list[int] | None, typer.Option("--round", help="Only this round; can be repeated.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Print every metric, class and confusion count.")] = False,
    by: Annotated[
        _Bins | None,
        typer.Option("--by", help="Purity and completeness in bins of this quantity (default: of the latest round)."),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(**FIGURE, help="Plot accuracy against coverage, a line per round: OUT.png, .pdf or .svg."),
    ] = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Show the accuracy of each round on the fixed test sets."""
    if every and by:
        raise typer.BadParameter("give --all or --by, not both")
    opened = open_workspace(workspace)
    if figure is not None:
        _draw(opened, numbers, figure, format)
    if by is not None:
        _show_bins(opened, numbers, by, format)
    elif every:
        from catbuilder.core.table_text import show
        from catbuilder.decisions.metrics import metrics as read_metrics

        show(read_metrics(opened, numbers, every=True), format)
    else:
        show_metrics(opened, numbers, format)


def report(
    target: Annotated[
        str | None,
        typer.Argument(help="OUT.html (default: reports/report-<round>.html in the workspace)."),
    ] = None,
    at: Annotated[
        int | None, typer.Option("--at", help="Report as of the end of this round (default: the last closed one).")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option("--figures", **FOLDER, help="Also write each figure as PNG and PDF to this folder.")
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Write metrics, figures and checks to one HTML page.

    The page opens without a network.
    """
    from catbuilder.core.progress import Reporter
    from catbuilder.reports.page import report

    outcome = report(open_workspace(workspace), target, at=at, figures=figures, reporter=Reporter())
    print(f"{outcome.file}: {outcome.figures} figures, {outcome.size / 1e6:.1f} MB.")
    if figures is not None and outcome.figures:
        print(f"Each figure as PNG and PDF: {figures}.")
    for sentence in outcome.missing:
        print(f"Not shown: {sentence.removesuffix('.')}.")


def certificates(
    number: Annotated[int | None, typer.Option("--round", help="Only this round.")] = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Show the error bound of each certified batch, and its audit."""
    from catbuilder.core.table_text import show
    from catbuilder.decisions.certificates import certificate_sentence, read_certificates

    rows = read_certificates(open_workspace(workspace), number)
    if format != "table":
        show(rows, format)
        return
    if not rows.num_rows:
        print('There is no certificate yet. They need a recipe with policy = "certified" under [promotion].')
        return
    shown = ["certificate", "verdict", "threshold", "errors", "n", "batch", "batch_errors", "promoted", "standing"]
    show(rows.select([*shown, "audit"]))
    print("", *map(certificate_sentence, rows.to_pylist()), sep="\n")


def shifts(
    number: Annotated[int | None, typer.Option("--round", help="Only this round.")] = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Show how much labelled, calibration and pool galaxies differ."""
    from catbuilder.core.table_text import show
    from catbuilder.decisions.certificates import read_shifts

    rows = read_shifts(open_workspace(workspace), number)
    if rows.num_rows or format != "table":
        show(rows, format)
    if not rows.num_rows:
        print(
            "No shift is measured yet: it needs a round that kept the features of enough galaxies in two samples "
            "(see pool_features and labelled_features under [scoring]).",
            file=sys.stderr,
        )


def show_metrics(workspace: "Workspace", rounds: Sequence[int] | None, format: str) -> None:
    """Print a line for each round, test set and survey; `rounds` None means every round."""
    from catbuilder.core.table_text import show
    from catbuilder.decisions.metrics import metrics as read_metrics

    found = read_metrics(workspace, rounds)
    if found.num_rows or format != "table":
        show(found, format)
    if not found.num_rows:
        print(_why_nothing(workspace), file=sys.stderr)
    elif set(found["test_set"].to_pylist()) <= _NO_TEST and format == "table":
        print(f"There is no test set: {_DECLARE}", file=sys.stderr)


def _show_bins(workspace: "Workspace", rounds: Sequence[int] | None, by: _Bins, format: str) -> None:
    from catbuilder.core.table_text import show
    from catbuilder.decisions.metrics import accuracy_against_colour
    from catbuilder.decisions.metrics import metrics as read_metrics

    bins = read_metrics(workspace, rounds, by=by)
    show(bins, format)
    if not bins.num_rows:
        print(_why_no_bins(workspace, rounds, by), file=sys.stderr)
    if by == "colour" and format == "table" and bins.num_rows:
        print()
        show(accuracy_against_colour(workspace, rounds))


def _why_no_bins(workspace: "Workspace", rounds: Sequence[int] | None, by: str) -> str:
    from catbuilder.decisions.metrics import metrics as read_metrics

    if not read_metrics(workspace, rounds).num_rows:
        return _why_nothing(workspace)
    measured = "radius" if by == "radius_arcsec" else "magnitude in g and r" if by == "colour" else "magnitude in r"
    return (f"There are no bins: no test object had a score and a {measured} when the round was measured, or an older "
            "catbuilder measured it. Ingest the survey's catalogue with: catbuilder ingest, or match it with a survey "
            "that has them with: catbuilder crossmatch; then run another round with: catbuilder round")  # fmt: skip


def _why_nothing(workspace: "Workspace") -> str:
    from catbuilder.catalogue.latest_round_and_run import last_round

    with workspace.reading() as con:
        none_yet = last_round(con) == 0
    if none_yet:
        return "No round has been run yet; run one with: catbuilder round"
    return f"Nothing has been measured yet: {_DECLARE}"


def _draw(workspace: "Workspace", rounds: Sequence[int] | None, file: Path, format: str) -> None:
    from catbuilder.decisions.metrics import accuracy_curves
    from catbuilder.reports.accuracy_figure import draw_accuracy

    draw_accuracy(accuracy_curves(workspace, rounds), file)
    print(f"Accuracy against coverage is plotted in {file}.", file=sys.stdout if format == "table" else sys.stderr)
