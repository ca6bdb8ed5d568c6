"""The verbs that bring labels in and write them out, for people who label elsewhere too."""

from pathlib import Path
from typing import Annotated

import typer

from catbuilder.cli.options import SurveyOption, WorkspaceOption, open_workspace, tell_rejections

labels_app = typer.Typer(help="Bring in labels, or write them out.", no_args_is_help=True, rich_markup_mode=None)

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
    from catbuilder.active_learning.platform_answers import as_layout

    report = import_labels(
        open_workspace(workspace), table, source=source, survey=survey, layout=as_layout(layout), answers=answer or ()
    )
    print(f"{report.recorded} labels recorded, {report.unchanged} stood already.")
    for sentence in report.audits:
        print(f"{sentence[0].upper()}{sentence[1:]}.")
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
    from catbuilder.active_learning.platform_answers import as_layout
    from catbuilder.core.errors import InputError

    opened, chosen = open_workspace(workspace), as_layout(layout)
    if chosen == "plain":
        from catbuilder.active_learning.answers import export_labels

        if table is not None:
            raise InputError("--table says what is to be labelled elsewhere; give --layout zooniverse or labelstudio")
        print(f"{export_labels(opened, target)} labels written to {target}.")
        return
    from catbuilder.active_learning.platform_subjects import export_subjects

    print(f"{export_subjects(opened, target, chosen, table)} objects written to {target}.")
    print(f"Next, once they are labelled: catbuilder labels import EXPORT --layout {chosen}")
