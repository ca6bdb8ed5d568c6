"""The verbs that inspect the catalogue: status, why, similar, count, diff, compare, sql and check."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from catbuilder.cli.options import (
    FIGURE,
    FILE,
    AtOption,
    FormatOption,
    StrictOption,
    SurveyOption,
    WhereOption,
    WorkspaceOption,
    open_workspace,
)

MosaicOption = Annotated[
    Path | None, typer.Option("--mosaic", **FIGURE, help="Also show their images in a figure: OUT.png, .pdf or .svg.")
]


def status(
    count: Annotated[
        bool, typer.Option("--count", help="Count everything again; takes a minute on a large catalogue.")
    ] = False,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Show the size of each set and the state of each round."""
    from catbuilder.catalogue.status import status
    from catbuilder.core.progress import Reporter
    from catbuilder.core.table_text import show

    with Reporter().bar("counting") as update:
        found = status(open_workspace(workspace), count=count, progress=update)
    show(found.objects, format)
    if found.recordings_since is None:
        print("Only the objects are counted so far. Count the rest (a minute or two) with: catbuilder status --count",
              file=sys.stderr)  # fmt: skip
    elif found.recordings_since:
        print(f"These counts are {found.recordings_since} recordings old; count again with: catbuilder status --count",
              file=sys.stderr)  # fmt: skip
    if format == "table":
        if found.rounds.num_rows:
            print()
            show(found.rounds)
        _tell_next(found.objects.num_rows, found.rounds.to_pylist())


def why(
    object_id: Annotated[str, typer.Argument(help="Object id in its survey.")],
    survey: SurveyOption = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Show the label of one object and every event behind it."""
    from catbuilder.core.table_text import print_table, show
    from catbuilder.inspection.why import why

    history = why(open_workspace(workspace), object_id, survey)
    columns = ("round", "what", "detail")
    if format == "table":
        known = {name: value for name, value in history.now.items() if value is not None}
        print("\n".join(f"{name:>20}  {value}" for name, value in known.items()), end="\n\n")
        print_table(columns, history.events, right=["round"])
        return
    import pyarrow as pa

    show(pa.Table.from_pylist([dict(zip(columns, event, strict=True)) for event in history.events]), format)


def similar(
    object_id: Annotated[str, typer.Argument(help="Object id in its survey.")],
    n: Annotated[int, typer.Option("--n", min=1, max=10_000, help="Number of objects.")] = 20,
    number: Annotated[
        int | None, typer.Option("--round", help="Use the network of this round (default: the latest with features).")
    ] = None,
    mosaic: MosaicOption = None,
    survey: SurveyOption = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """List the objects that look most like a given one.

    Distances are between the feature vectors of a round's network; the nearest object comes first.
    """
    from catbuilder.core.table_text import show
    from catbuilder.inspection.similar import draw_similar, similar

    opened = open_workspace(workspace)
    found = similar(opened, object_id, n, survey=survey, round_number=number)
    if format == "table":
        print("\n".join(found.sentences()))
    show(found.table(), format)
    if mosaic is not None:
        shown = draw_similar(opened, found, mosaic)
        print(f"{shown} images are shown in {mosaic}.", file=sys.stdout if format == "table" else sys.stderr)


def count(
    by: Annotated[
        str, typer.Option(help="Columns of the view catalog to group by, separated by commas.")
    ] = "survey,source,label",
    at: AtOption = None,
    where: WhereOption = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Count objects by columns of the catalogue."""
    from catbuilder.core.progress import Reporter
    from catbuilder.core.table_text import show
    from catbuilder.inspection.counts import count_objects

    names = [name.strip() for name in by.split(",") if name.strip()]
    with Reporter().bar("counting") as update:
        found = count_objects(open_workspace(workspace), names, at=at, where=where, progress=update)
    show(found, format)


def diff(
    first: Annotated[int, typer.Option("--from", min=1, help="The earlier round.")],
    last: Annotated[int, typer.Option("--to", min=1, help="The later round.")],
    part: Annotated[
        Literal["labels", "predictions", "events", "examples"] | None,
        typer.Option("--part", help="Print only this table (default with --format csv or json: labels)."),
    ] = None,
    examples: Annotated[
        int, typer.Option(min=0, max=1000, help="Number of objects to list for each kind of change.")
    ] = 3,
    out: Annotated[
        Path | None, typer.Option("--out", **FILE, help="Write every object that changed to this CSV file.")
    ] = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Show what changed between two closed rounds, and why."""
    from catbuilder.core.progress import Reporter
    from catbuilder.core.table_text import show
    from catbuilder.inspection.round_diff import diff, write_changed

    opened = open_workspace(workspace)
    found = diff(opened, first, last, examples=examples, reporter=Reporter())
    if format != "table" or part is not None:
        show(getattr(found, part or "labels"), format)
    else:
        print("\n".join(found.sentences()))
        for name in ("labels", "predictions", "events", "examples"):
            print(f"\n{name}")
            show(getattr(found, name), format)
    if out is not None:
        written = write_changed(opened, first, last, out, Reporter())
        print(f"{written} changed objects are listed in {out}.", file=sys.stdout if format == "table" else sys.stderr)


def compare(
    file: Annotated[Path, typer.Argument(help="The other catalogue: CSV, ECSV, FITS, VOTable or Parquet.")],
    object_id: Annotated[
        str | None, typer.Option("--id", metavar="COLUMN", help="Its column of object ids of the survey.")
    ] = None,
    ra: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Its column of right ascension (or longitude).")
    ] = None,
    dec: Annotated[str | None, typer.Option(metavar="COLUMN", help="Its column of declination (or latitude).")] = None,
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="Its column of classes.")] = None,
    meanings: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="OURS=THEIRS", help="Its name for one of our classes; can be repeated."),
    ] = None,
    shares: Annotated[
        list[str] | None,
        typer.Option(
            "--share",
            metavar="OURS=COLUMN",
            help="Its column with the vote share or probability of a class; can be repeated.",
        ),
    ] = None,
    least: Annotated[float, typer.Option(min=0, max=1, help="Smallest share that counts as a classification.")] = 0.5,
    of: Annotated[
        Literal["predicted_label", "label"], typer.Option("--of", help="Compare our predictions or our labels.")
    ] = "predicted_label",
    at: AtOption = None,
    where: Annotated[
        str, typer.Option(help="Only objects that meet this SQL condition on catalogue columns.")
    ] = "domain = 'in'",
    by: Annotated[
        Literal["id", "position"] | None,
        typer.Option("--by", help="Pair objects by id or by position (default: by id where possible)."),
    ] = None,
    radius: Annotated[float, typer.Option(help="Largest separation of a pair, arcsec; up to 60.")] = 1.0,
    n: Annotated[
        int, typer.Option("--n", min=0, max=400, help="Number of disagreements to list, the most confident first.")
    ] = 24,
    mosaic: MosaicOption = None,
    part: Annotated[
        Literal["agreement", "confusion", "disagreements"] | None,
        typer.Option("--part", help="Print only this table (default with --format csv or json: agreement)."),
    ] = None,
    survey: Annotated[str | None, typer.Option("--survey", help="Survey of our objects to compare.")] = None,
    table: Annotated[
        str | None,
        typer.Option("--table", metavar="NAME", help="Name or number of the table in a file with several."),
    ] = None,
    strict: StrictOption = False,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Compare labels with another catalogue, by magnitude and size.

    Agreement is not accuracy: either catalogue can be wrong.
    """
    from catbuilder.core.progress import Reporter
    from catbuilder.core.table_text import show
    from catbuilder.inspection.compare import CompareRequest, compare, draw_disagreements
    from catbuilder.inspection.other_catalogue import CatalogueColumns, parse_class_pairs

    opened = open_workspace(workspace)
    theirs = {name: ours for ours, name in parse_class_pairs(meanings or (), "--class")}
    columns = CatalogueColumns(
        "", object_id, ra, dec, label, theirs, dict(parse_class_pairs(shares or (), "--share")), least
    )
    request = CompareRequest(of, at, where, by, radius, n)
    found = compare(
        opened, file, survey=survey, columns=columns, question=request, table=table, strict=strict, reporter=Reporter()
    )
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
    for line in found.warnings():
        print(line, file=sys.stderr)
    if found.nothing_used:
        print("No row of the other catalogue could be compared.", file=sys.stderr)
        raise typer.Exit(1)


def sql(
    query: Annotated[
        str | None,
        typer.Argument(help="One SELECT. SHOW TABLES lists the tables, DESCRIBE catalog the columns of one."),
    ] = None,
    example: Annotated[str | None, typer.Option(help="Run this query of the cookbook instead.")] = None,
    examples: Annotated[bool, typer.Option("--examples", help="Only list the queries of the cookbook.")] = False,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
    timeout: Annotated[float, typer.Option(help="Stop the query after so many seconds.")] = 60.0,
    memory_limit: Annotated[int, typer.Option(min=1, help="Memory limit of the query, MB.")] = 2048,
) -> None:
    """Query the catalogue in SQL, read-only and sandboxed."""
    import pyarrow as pa

    from catbuilder.core.table_text import show
    from catbuilder.inspection import cookbook
    from catbuilder.inspection.sandbox import query_stream

    if examples:
        titles = [{"example": one.name, "title": one.title} for one in cookbook.cookbook_queries()]
        show(pa.Table.from_pylist(titles), format)
        return
    if (query is None) == (example is None):
        raise typer.BadParameter(
            "give one SELECT, or --example NAME; the names are listed by: catbuilder sql --examples"
        )
    text = query if query is not None else cookbook.cookbook_query(example or "").sql
    opened = open_workspace(workspace)
    values: Literal["text", "json"] = "json" if format == "json" else "text"
    with query_stream(opened, text, memory_mb=memory_limit, timeout_s=timeout, values=values) as reader:
        show(reader, format)


def check(
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every byte of catalogue, stamps, scores and checkpoints.")
    ] = False,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Check that the catalogue is intact and obeys its rules.

    The exit code is 1 if a check fails.
    """
    from catbuilder.core.progress import Reporter
    from catbuilder.core.table_text import show
    from catbuilder.inspection.check import check

    with Reporter().bar("checking files") as update:
        report = check(open_workspace(workspace), deep=deep, progress=update)
    show(report.table(), format)
    print("".join(f"{sentence}\n" for sentence in report.sentences()), file=sys.stderr, end="")
    if not report.is_sound:
        raise typer.Exit(1)


def _tell_next(objects: int, rounds: list[dict[str, object]]) -> None:
    if not objects:
        print("The catalogue is empty. Next: catbuilder ingest images DIR --table T.csv --survey sdss")
    elif not rounds:
        print("\nNo round has been run yet. Next: catbuilder round")
    elif rounds[-1]["step"] != "closed":
        print(f"\nRound {rounds[-1]['round']} is {rounds[-1]['step']}, not closed; continue it with: catbuilder round")
