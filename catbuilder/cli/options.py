"""What every verb of the command line shares: its options, the workspace it means, how it tells of rejected rows."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from catbuilder.core.safe_text import in_one_line

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

_LONGEST_REJECTION = 1000  # letters

named_before_verb: dict[str, Path] = {}  # the workspace of: catbuilder -w WS verb


def open_workspace(workspace: Path | None) -> "Workspace":
    """The workspace that a verb is about: its own option, the one before the verb, the environment's, or here."""
    from catbuilder.catalogue.workspace import Workspace

    return Workspace.open(
        workspace or named_before_verb.get("workspace") or os.environ.get("CATBUILDER_WORKSPACE") or "."
    )


def tell_rejections(rejections: "tuple[Rejection, ...]") -> None:
    """Which rows were left out and why, the first twenty of them."""
    if rejections:
        print(f"{len(rejections)} row{'s' if len(rejections) > 1 else ''} could not be used:", file=sys.stderr)
        for rejection in rejections[:20]:
            print(f"  {in_one_line(rejection, _LONGEST_REJECTION)}", file=sys.stderr)
        tell_more(len(rejections), "SELECT * FROM rejections")


def tell_more(n: int, query: str) -> None:
    """Where to see the rest of a list of which twenty are shown."""
    if n > 20:
        print(f'  ... and {n - 20} more; see them all with: catbuilder sql "{query}"', file=sys.stderr)
