"""Options that several verbs share, and helpers to open the workspace and to print rejected rows."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import typer

from catbuilder.core.paths import figure_to_write, file_to_write, folder_to_write

if TYPE_CHECKING:
    from catbuilder.catalogue.workspace import Workspace
    from catbuilder.core.user_csv import Rejection

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace", "-w", help="Workspace folder (default: CATBUILDER_WORKSPACE, else the current folder)."
    ),
]
FormatOption = Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="Format of the output.")]
SurveyOption = Annotated[
    str | None, typer.Option("--survey", help="Survey of the object ids; needed if two share an id.")
]
AtOption = Annotated[int | None, typer.Option("--at", help="Catalogue as of the end of this round (default: now).")]
WhereOption = Annotated[
    str | None, typer.Option(help="Only objects that meet this SQL condition on catalogue columns.")
]
ChangesOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting of the recipe for this run; can be repeated."),
]

# Options of what is written. Whether it can be is checked before the verb does or prints anything.
FILE: dict[str, Any] = {"parser": file_to_write, "metavar": "<path>"}
FIGURE: dict[str, Any] = {"parser": figure_to_write, "metavar": "<path>"}
FOLDER: dict[str, Any] = {"parser": folder_to_write, "metavar": "<path>"}

ClusterOption = Annotated[
    str,
    typer.Option(
        metavar="<address>", help="Run on a Ray cluster: auto, local, ray://HOST:PORT or HOST:PORT (default: here)."
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Refuse a table with a row that cannot be used, and record nothing.")
]
StrictListOption = Annotated[
    bool,
    typer.Option("--strict", help="Also refuse rows that only repeat an earlier row; other bad rows always are."),
]

named_before_verb: dict[str, Path] = {}  # the workspace of: catbuilder -w WS verb


def open_workspace(workspace: Path | None) -> "Workspace":
    """Open the workspace named after the verb, before it, by the environment, or else the current folder."""
    from catbuilder.catalogue.workspace import Workspace

    return Workspace.open(
        workspace or named_before_verb.get("workspace") or os.environ.get("CATBUILDER_WORKSPACE") or "."
    )


class Report(Protocol):
    """The result of a library call that can summarise itself."""

    def sentences(self) -> list[str]:
        """Summarise the result for a person, a line each."""
        ...

    def warnings(self) -> list[str]:
        """List what a person should look at, a line each."""
        ...


class IngestReport(Report, Protocol):
    """The result of a library call that reads rows of a user."""

    @property
    def nothing_used(self) -> bool:
        """Whether none of them could be used."""
        ...


def print_ingest(report: IngestReport) -> None:
    """Print a result; exit with 1 if nothing of the input could be used."""
    print_report(report)
    if report.nothing_used:
        raise typer.Exit(1)


def print_report(report: Report) -> None:
    """Print the summary of a result to stdout, and its warnings to stderr."""
    for line in report.sentences():
        print(line)
    for line in report.warnings():
        print(line, file=sys.stderr)


def tell_rejections(rejections: "tuple[Rejection, ...]") -> None:
    """Print the first twenty rejected rows and their reasons to stderr."""
    from catbuilder.core.user_csv import list_rejections

    for line in list_rejections(rejections):
        print(line, file=sys.stderr)
