"""The verb `report`: the catalogue and its rounds on one page."""

from pathlib import Path
from typing import Annotated

import typer

from catbuilder.cli.options import WorkspaceOption, open_workspace


def report(
    target: Annotated[
        Path | None, typer.Argument(help="OUT.html; by default reports/report-<round>.html in the workspace.")
    ] = None,
    at: Annotated[int | None, typer.Option("--at", help="As of the end of this round; by default the last.")] = None,
    figures: Annotated[
        Path | None, typer.Option("--figures", help="Folder for each figure as PNG and PDF as well.")
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Metrics, pictures, checks and provenance on one page: an HTML file that opens offline."""
    from catbuilder.core.progress import Reporter
    from catbuilder.report.page import write_report

    outcome = write_report(open_workspace(workspace), target, at=at, figures=figures, reporter=Reporter())
    print(f"{outcome.file}: {outcome.figures} figures, {outcome.size / 1e6:.1f} MB.")
    if figures is not None and outcome.figures:
        print(f"Each figure as PNG and PDF: {figures}.")
    for sentence in outcome.missing:
        print(f"Not shown: {sentence.removesuffix('.')}.")
