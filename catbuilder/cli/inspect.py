"""The verbs that set one thing beside another: objects that look alike, two rounds, another catalogue."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from catbuilder.cli.options import FormatOption, SurveyOption, WorkspaceOption, open_workspace

MosaicOption = Annotated[Path | None, typer.Option("--mosaic", help="Show their images in OUT.png, .pdf or .svg.")]


def similar(
    object_id: Annotated[str, typer.Argument(help="Id as the survey numbers it.")],
    n: Annotated[int, typer.Option("--n", min=1, max=10_000, help="How many.")] = 20,
    number: Annotated[
        int | None, typer.Option("--round", help="By the network of this round; by default the latest that can.")
    ] = None,
    mosaic: MosaicOption = None,
    survey: SurveyOption = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Objects that look like one, by the features of a round's network; the nearest first."""
    from catbuilder.core.table_text import show
    from catbuilder.inspection.similar import as_table, draw_similar, similar

    opened = open_workspace(workspace)
    found = similar(opened, survey, object_id, n, number)
    show(as_table(found), format)
    if mosaic is not None:
        shown = draw_similar(opened, survey, object_id, found, mosaic)
        print(f"{shown} images are shown in {mosaic}.", file=sys.stdout if format == "table" else sys.stderr)


def diff(
    first: Annotated[int, typer.Option("--from", min=1, help="The earlier round.")],
    last: Annotated[int, typer.Option("--to", min=1, help="The later round.")],
    part: Annotated[
        Literal["labels", "predictions", "events", "examples"] | None,
        typer.Option("--part", help="Only this table; with --format csv or json it is labels by default."),
    ] = None,
    examples: Annotated[int, typer.Option(min=0, max=1000, help="Objects of each kind of change to list.")] = 3,
    out: Annotated[Path | None, typer.Option("--out", help="CSV to write with every object that changed.")] = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """What changed between two closed rounds: labels, predicted classes, and why."""
    from catbuilder.core.progress import Reporter
    from catbuilder.core.table_text import show
    from catbuilder.inspection.round_diff import diff, write_changed

    opened = open_workspace(workspace)
    found = diff(opened, first, last, examples, Reporter())
    if format != "table" or part is not None:
        show(getattr(found, part or "labels"), format)
    else:
        print(found.sentence())
        for name in ("labels", "predictions", "events", "examples"):
            print(f"\n{name}")
            show(getattr(found, name), format)
    if out is not None:
        written = write_changed(opened, first, last, out, Reporter())
        print(
            f"{written} objects that changed are listed in {out}.", file=sys.stdout if format == "table" else sys.stderr
        )


def compare(
    file: Annotated[Path, typer.Argument(help="The other catalogue: CSV, FITS, VOTable or Parquet.")],
    object_id: Annotated[
        str | None, typer.Option("--id", metavar="COLUMN", help="Its ids, as the survey has them.")
    ] = None,
    ra: Annotated[str | None, typer.Option(metavar="COLUMN", help="Its right ascensions, ICRS.")] = None,
    dec: Annotated[str | None, typer.Option(metavar="COLUMN", help="Its declinations, ICRS.")] = None,
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="Its classes.")] = None,
    meanings: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="OURS=THEIRS", help="What it calls a class of ours; may be repeated."),
    ] = None,
    shares: Annotated[
        list[str] | None,
        typer.Option("--share", metavar="OURS=COLUMN", help="Its share or probability of a class; may be repeated."),
    ] = None,
    least: Annotated[float, typer.Option(min=0, max=1, help="Least of such a share that commits it to a class.")] = 0.5,
    of: Annotated[
        Literal["predicted_label", "label"], typer.Option("--of", help="What of ours is compared with it.")
    ] = "predicted_label",
    at: Annotated[int | None, typer.Option("--at", help="As of the end of this round.")] = None,
    where: Annotated[str, typer.Option(help="SQL condition on the columns of the catalogue.")] = "domain = 'in'",
    by: Annotated[
        Literal["id", "position"] | None,
        typer.Option("--by", help="How objects are paired; by default by id if it can be."),
    ] = None,
    radius: Annotated[float, typer.Option(help="Largest separation of a pair, arcsec; up to 60.")] = 1.0,
    n: Annotated[
        int, typer.Option("--n", min=0, max=400, help="Disagreements to list or draw, the surest first.")
    ] = 24,
    mosaic: MosaicOption = None,
    part: Annotated[
        Literal["agreement", "confusion", "disagreements"] | None,
        typer.Option("--part", help="Only this table; with --format csv or json it is agreement by default."),
    ] = None,
    survey: Annotated[str | None, typer.Option("--survey", help="Whose objects are compared.")] = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Agreement with another catalogue, by magnitude and size. Agreement is not accuracy."""
    from catbuilder.core.progress import Reporter
    from catbuilder.core.table_text import show
    from catbuilder.inspection.compare import Question, compare, draw_disagreements
    from catbuilder.inspection.other_catalogue import Columns, pairs_of

    opened = open_workspace(workspace)
    theirs = {name: ours for ours, name in pairs_of(meanings or (), "--class")}
    columns = Columns("", object_id, ra, dec, label, theirs, dict(pairs_of(shares or (), "--share")), least)
    question = Question(of, at, where, by, radius, n)
    found = compare(opened, file, survey, columns, question, Reporter())
    if format != "table" or part is not None:
        show(getattr(found, part or "agreement"), format)
    else:
        print("\n".join(found.sentences()))
        for name in ("agreement", "confusion", "disagreements"):
            print(f"\n{name}")
            show(getattr(found, name), format)
    if mosaic is not None:
        shown = draw_disagreements(opened, found, mosaic)
        print(f"{shown} disagreements are shown in {mosaic}.", file=sys.stdout if format == "table" else sys.stderr)
