"""The verbs for labels from people: select, labels import, labels export and labels agreement."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from catbuilder.cli.empty_values import Verb
from catbuilder.cli.options import (
    FILE,
    FormatOption,
    StrictListOption,
    StrictOption,
    SurveyOption,
    WorkspaceOption,
    open_workspace,
    print_ingest,
)
from catbuilder.core.safe_text import counted

labels_app = typer.Typer(
    help="Import labels, export labels, compare annotators.", no_args_is_help=True, rich_markup_mode=None
)

_LAYOUTS = "Layout of the file: plain (CSV), zooniverse or labelstudio."


def select(
    strategy: Annotated[
        str,
        typer.Option(
            help="audit: the random sample of certified batches. Of unlabelled pool objects: margin, entropy, "
            "mutual_information (uncertain to the model), typical, coverage (by features), random."
        ),
    ] = "audit",
    n: Annotated[
        int | None,
        typer.Option("--n", min=1, max=2**63 - 1, help="Largest number of objects (default: 50; all for audit)."),
    ] = None,
    purpose: Annotated[
        str, typer.Option("--for", help="Use of the labels: training, or calibration (only with random).")
    ] = "training",
    survey: SurveyOption = None,
    out: Annotated[
        Path | None, typer.Option(**FILE, help="Write the list to this CSV, to be filled in (default: print it).")
    ] = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """List objects for a person to label, without the prediction."""
    from catbuilder.active_learning.select_objects import (
        STRATEGIES,
        parse_purpose,
        refuse_answers,
        select_objects,
        write_questions,
    )
    from catbuilder.core.table_text import show

    opened = open_workspace(workspace)
    if out is not None:
        refuse_answers(out)
    objects = select_objects(opened, strategy, n, purpose=parse_purpose(purpose), survey=survey)
    if out is not None and objects.num_rows:
        write_questions(objects, out)
        print(f"{counted(objects.num_rows, 'object')} written to {out}.")
    elif objects.num_rows or format != "table":
        show(objects, format)
    if not objects.num_rows:
        print(f"Nothing to ask: {STRATEGIES[strategy]}.", file=sys.stderr)
        return
    classes = " or ".join(opened.config.classes)
    table = "" if out else "write the list with --out FILE.csv, "
    print(
        f"Next: {table}fill in label ({classes}), then: catbuilder labels import {out or 'FILE.csv'} --source human",
        file=sys.stdout if out or format == "table" else sys.stderr,
    )


_IMPORT_EXAMPLES = """Example: catbuilder labels import mine.csv --source human

catbuilder labels import classifications.csv --layout zooniverse --answer Smooth=elliptical --answer Star=none

catbuilder labels import question_reducer.csv --layout zooniverse --subjects subjects.csv --task T0

catbuilder labels import project-1.json --layout labelstudio"""


@labels_app.command("import", cls=Verb, epilog=_IMPORT_EXAMPLES)
def labels_import(
    table: Annotated[
        Path,
        typer.Argument(
            help="CSV with object_id, label; optional survey, annotator, confidence, source. With --layout zooniverse: "
            "the export of classifications, or reductions (CSV); with --layout labelstudio: JSON, JSON-MIN, CSV or TSV."
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            help="Source of labels without one: human, galaxy_zoo or imported (default: imported; human for "
            "zooniverse and labelstudio)."
        ),
    ] = None,
    layout: Annotated[str, typer.Option(help=_LAYOUTS)] = "plain",
    answer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ANSWER=CLASS",
            help="Class that a volunteers' answer stands for, or none; can be repeated. Answers that mean no class "
            "count against the others.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="Task whose answers count (default: the only one with answers that mean a class)."),
    ] = None,
    workflow: Annotated[str | None, typer.Option(help="Number of the Zooniverse workflow whose answers count.")] = None,
    workflow_version: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VERSION",
            help="Version of the workflow, such as 5.17, or 5 for all of 5; can be repeated (default: all).",
        ),
    ] = None,
    subjects: Annotated[
        Path | None,
        typer.Option(help="Zooniverse's export of subjects, which tells the object of each; reductions need it."),
    ] = None,
    survey: SurveyOption = None,
    strict: StrictOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Import labels from a table, or answers from Zooniverse or Label Studio."""
    from catbuilder.active_learning.answers import import_labels
    from catbuilder.active_learning.platform_layouts import parse_layout

    report = import_labels(
        open_workspace(workspace),
        table,
        source=source,
        survey=survey,
        layout=parse_layout(layout),
        answers=answer or (),
        task=task,
        workflow=workflow,
        workflow_versions=workflow_version or (),
        subjects=subjects,
        strict=strict,
    )
    print_ingest(report)


@labels_app.command(
    "export", cls=Verb, epilog="Example: catbuilder labels export subjects --layout zooniverse --table ask.csv"
)
def labels_export(
    target: Annotated[str, typer.Argument(help="CSV to write; for zooniverse and labelstudio, a new folder.")],
    layout: Annotated[str, typer.Option(help=f"{_LAYOUTS} The last two export images to be labelled.")] = "plain",
    table: Annotated[
        Path | None, typer.Option(help="CSV of the objects to be labelled (default: all open questions of `select`).")
    ] = None,
    strict: StrictListOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Export current labels as CSV, or objects to label for Zooniverse or Label Studio."""
    from catbuilder.active_learning.platform_layouts import parse_layout
    from catbuilder.core.errors import InputError

    opened, chosen = open_workspace(workspace), parse_layout(layout)
    if chosen == "plain":
        from catbuilder.active_learning.answers import export_labels

        if table is not None:
            raise InputError("--table lists objects to be labelled; add --layout zooniverse or labelstudio")
        print(f"{counted(export_labels(opened, target), 'label')} written to {target}.")
        return
    from catbuilder.active_learning.platform_subjects import export_subjects

    written = export_subjects(opened, target, chosen, table, strict=strict)
    print(f"{counted(written, 'object')} written to {target}.")
    print(f"Next, once they are labelled: catbuilder labels import EXPORT --layout {chosen}")


@labels_app.command("agreement", cls=Verb, epilog="Example: catbuilder labels agreement --format csv")
def labels_agreement(workspace: WorkspaceOption = None, format: FormatOption = "table") -> None:
    """Show how well each pair of annotators agrees, as Cohen's kappa."""
    from catbuilder.active_learning.agreement import annotator_agreement
    from catbuilder.core.table_text import show

    found = annotator_agreement(open_workspace(workspace))
    if found.num_rows or format != "table":
        show(found, format)
    if not found.num_rows:
        print("No two annotators have labelled the same object yet. Let a second person answer the same list with: "
              "catbuilder serve", file=sys.stderr)  # fmt: skip
