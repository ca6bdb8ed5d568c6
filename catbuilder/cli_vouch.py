"""The verbs that tell what stands behind a promotion, and that ask people about it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from catbuilder.cli.options import FormatOption, SurveyOption, WorkspaceOption, open_workspace


def select(
    strategy: Annotated[
        str,
        typer.Option(
            help="audit: the sample of certified batches. Of the pool without a label: margin, entropy, "
            "mutual_information (what the model doubts), typical, coverage (by its features), random."
        ),
    ] = "audit",
    n: Annotated[
        int | None, typer.Option("--n", min=1, help="At most so many; by default all of an audit, or else 50.")
    ] = None,
    purpose: Annotated[
        str, typer.Option("--for", help="training; or calibration, for which only random draws serve.")
    ] = "training",
    survey: SurveyOption = None,
    out: Annotated[
        Path | None, typer.Option(help="CSV to write, to be filled in; by default they are printed.")
    ] = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """List objects for a person to label, blind."""
    from catbuilder.active_learning.select_objects import STRATEGIES, as_purpose, select_objects, write_questions
    from catbuilder.core.table_text import show

    opened = open_workspace(workspace)
    objects = select_objects(opened, strategy, n, purpose=as_purpose(purpose), survey=survey)
    if out is not None and objects.num_rows:
        write_questions(objects, out)
        print(f"{objects.num_rows} objects written to {out}.")
    elif objects.num_rows or format != "table":
        show(objects, format)
    if not objects.num_rows:
        print(f"Nothing to ask: {STRATEGIES[strategy]}.", file=sys.stderr)
        return
    classes = " or ".join(opened.config.classes)
    table = "" if out else "have it as a table with --out FILE.csv, "
    print(
        f"Next: {table}fill in label ({classes}), then: catbuilder labels import {out or 'FILE.csv'} --source human",
        file=sys.stdout if out or format == "table" else sys.stderr,
    )


def certificates(
    number: Annotated[int | None, typer.Option("--round", help="Only this round.")] = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """What is promised of each promoted batch, on what grounds, and what people found in it."""
    from catbuilder.core.table_text import show
    from catbuilder.decisions.certificates import in_words, read_certificates

    rows = read_certificates(open_workspace(workspace), number)
    if format != "table":
        show(rows, format)
        return
    if not rows.num_rows:
        print('There is no certificate yet; they come with a recipe whose [promotion] has policy = "certified".')
        return
    shown = ["certificate", "verdict", "threshold", "errors", "n", "batch", "batch_errors", "standing", "audit"]
    show(rows.select(shown))
    print("", *map(in_words, rows.to_pylist()), sep="\n")


def shifts(
    number: Annotated[int | None, typer.Option("--round", help="Only this round.")] = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """How alike the labelled, the calibration and the pool galaxies are to each round's network."""
    from catbuilder.core.table_text import show
    from catbuilder.decisions.certificates import read_shifts

    rows = read_shifts(open_workspace(workspace), number)
    if rows.num_rows or format != "table":
        show(rows, format)
    if not rows.num_rows:
        print(
            "No shift is measured: no round has decided yet that kept the features of enough galaxies of two samples "
            "([scoring] pool_features and labelled_features).",
            file=sys.stderr,
        )
