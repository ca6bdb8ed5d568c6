"""Options that several verbs share, and helpers to open the workspace and to print rejected rows."""

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

_LONGEST_REJECTION = 1000  # characters

named_before_verb: dict[str, Path] = {}  # the workspace given before the verb, as in: catbuilder -w WS verb


def open_workspace(workspace: Path | None) -> "Workspace":
    """Open the workspace named after the verb, before it, by the environment, or else the current folder."""
    from catbuilder.catalogue.workspace import Workspace

    return Workspace.open(
        workspace or named_before_verb.get("workspace") or os.environ.get("CATBUILDER_WORKSPACE") or "."
    )


def tell_rejections(rejections: "tuple[Rejection, ...]") -> None:
    """Print how many rows were rejected, and the first twenty with the reason."""
    if rejections:
        print(f"{len(rejections)} row{'s' if len(rejections) > 1 else ''} could not be used:", file=sys.stderr)
        for rejection in rejections[:20]:
            print(f"  {in_one_line(rejection, _LONGEST_REJECTION)}", file=sys.stderr)
        tell_more(len(rejections), "SELECT * FROM rejections")


def tell_more(n: int, query: str) -> None:
    """Print how to see the rest of a list of which twenty rows are shown."""
    if n > 20:
        print(f'  ... and {n - 20} more; see them all with: catbuilder sql "{query}"', file=sys.stderr)
