"""The verbs that bring labels in and write them out, for people who label elsewhere too."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from catbuilder.cli.options import FormatOption, SurveyOption, WorkspaceOption, open_workspace, tell_rejections

labels_app = typer.Typer(
    help="Import labels, export them, compare annotators.", no_args_is_help=True, rich_markup_mode=None
)

_LAYOUTS = "plain (CSV), zooniverse or labelstudio."


@labels_app.command("import", epilog="Example: catbuilder labels import mine.csv --source human")
def labels_import(
    table: Annotated[
        Path,
        typer.Argument(
            help="CSV with object_id, label; optional survey, annotator, confidence, source. Or, by --layout, "
            "Zooniverse's export of classifications (CSV) or Label Studio's (JSON)."
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            help="human, galaxy_zoo or imported, where the table is silent; by default imported, and human of the "
            "layouts of annotations."
        ),
    ] = None,
    layout: Annotated[str, typer.Option(help=_LAYOUTS)] = "plain",
    answer: Annotated[
        list[str] | None,
        typer.Option(metavar="ANSWER=CLASS", help="Which class an answer of volunteers means; may be repeated."),
    ] = None,
    survey: SurveyOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Record labels from a table, or from what people have answered elsewhere."""
    from catbuilder.active_learning.answers import import_labels
    from catbuilder.active_learning.platform_answers import parse_layout

    report = import_labels(
        open_workspace(workspace),
        table,
        source=source,
        survey=survey,
        layout=parse_layout(layout),
        answers=answer or (),
    )
    print("\n".join(report.sentences()))
    tell_rejections(report.rejections)


@labels_app.command("export", epilog="Example: catbuilder labels export subjects --layout zooniverse --table ask.csv")
def labels_export(
    target: Annotated[Path, typer.Argument(help="CSV to write; with another layout, a folder to make.")],
    layout: Annotated[
        str, typer.Option(help=f"{_LAYOUTS} The last two are for labelling: images, and their list.")
    ] = "plain",
    table: Annotated[
        Path | None, typer.Option(help="CSV of the objects to be labelled; by default all open questions of select.")
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Write every standing label as CSV; or what is to be labelled, for Zooniverse or Label Studio."""
    from catbuilder.active_learning.platform_answers import parse_layout
    from catbuilder.core.errors import InputError

    opened, chosen = open_workspace(workspace), parse_layout(layout)
    if chosen == "plain":
        from catbuilder.active_learning.answers import export_labels

        if table is not None:
            raise InputError("--table says what is to be labelled elsewhere; give --layout zooniverse or labelstudio")
        print(f"{export_labels(opened, target)} labels written to {target}.")
        return
    from catbuilder.active_learning.platform_subjects import export_subjects

    print(f"{export_subjects(opened, target, chosen, table)} objects written to {target}.")
    print(f"Next, once they are labelled: catbuilder labels import EXPORT --layout {chosen}")


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
    from catbuilder.active_learning.select_objects import STRATEGIES, parse_purpose, select_objects, write_questions
    from catbuilder.core.table_text import show

    opened = open_workspace(workspace)
    objects = select_objects(opened, strategy, n, purpose=parse_purpose(purpose), survey=survey)
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


@labels_app.command("agreement", epilog="Example: catbuilder labels agreement --format csv")
def labels_agreement(workspace: WorkspaceOption = None, format: FormatOption = "table") -> None:
    """Show how well each two annotators agree: Cohen's kappa."""
    from catbuilder.active_learning.agreement import annotator_agreement
    from catbuilder.core.table_text import show

    found = annotator_agreement(open_workspace(workspace))
    if found.num_rows or format != "table":
        show(found, format)
    if not found.num_rows:
        print("No two annotators have labelled the same object yet; let a second one answer the same list: "
              "catbuilder serve", file=sys.stderr)  # fmt: skip
