"""What every verb of the command line shares: its options, the workspace it means, how it tells of rejected rows."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

import typer

if TYPE_CHECKING:
    from catbuilder.catalogue.workspace import Workspace
    from catbuilder.core.csv_table import Rejection

WorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", help="Workspace folder; by default CATBUILDER_WORKSPACE, else here."),
]
FormatOption = Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="How to print it.")]
SurveyOption = Annotated[str | None, typer.Option("--survey", help="Which survey's numbering the id belongs to.")]
ChangesOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe for this run; may be repeated."),
]

named_before_verb: dict[str, Path] = {}  # the workspace of: catbuilder -w WS verb


def open_workspace(workspace: Path | None) -> "Workspace":
    """The workspace that a verb is about: its own option, the one before the verb, the environment's, or here."""
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


def print_report(report: Report) -> None:
    """Print the summary of a result to stdout, and its warnings to stderr."""
    for line in report.sentences():
        print(line)
    for line in report.warnings():
        print(line, file=sys.stderr)


def tell_rejections(rejections: "tuple[Rejection, ...]") -> None:
    """Print the first twenty rejected rows and their reasons to stderr."""
    from catbuilder.core.csv_table import list_rejections

    for line in list_rejections(rejections):
        print(line, file=sys.stderr)
