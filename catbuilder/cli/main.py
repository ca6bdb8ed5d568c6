"""The command line: every verb is one call into the library, which a Python user can make too.

Imports stand inside the verbs, so that `catbuilder --help` answers at once: torch alone takes seconds.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catbuilder import __version__
from catbuilder.cli.export import release, track
from catbuilder.cli.fetch import cutouts, fetch
from catbuilder.cli.ingest import ingest_app
from catbuilder.cli.inspect import compare, diff, similar
from catbuilder.cli.labels import labels_app
from catbuilder.cli.options import (
    ChangesOption,
    FormatOption,
    SurveyOption,
    WorkspaceOption,
    named_before_verb,
    open_workspace,
    tell_rejections,
)
from catbuilder.cli.results import metrics, show_metrics
from catbuilder.cli.rounds import experiment_app
from catbuilder.cli.web import labels_agreement, serve
from catbuilder.cli.workspace import backup, restore
from catbuilder.cli_catalog import compact, count, status
from catbuilder.cli_report import report
from catbuilder.cli_vouch import certificates, select, shifts
from catbuilder.core.errors import CatbuilderError
from catbuilder.core.interrupts import listen
from catbuilder.core.safe_text import printable

if TYPE_CHECKING:
    from catbuilder.rounds.run import RoundOutcome

app = typer.Typer(
    name="catbuilder",
    help="Turn a few thousand labelled galaxies into the catalogue of a whole survey.",
    epilog="Start with: catbuilder simulate demo && catbuilder -w demo round --n 3 --recipe demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(ingest_app, name="ingest")
app.add_typer(labels_app, name="labels")
app.add_typer(experiment_app, name="experiment")

_INTERRUPTED = 130


def main() -> None:
    """Entry point: an error that a user can mend is one line on standard error and exit code 1."""
    debug = "--debug" in sys.argv
    listen()
    try:
        app()
    except CatbuilderError as error:
        if debug:
            raise
        print(f"Error: {printable(str(error))}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:
        if end.code == _INTERRUPTED:  # typer turns Ctrl-C into this exit, without a word
            print("Stopped. What was recorded stays; the same command goes on from there.", file=sys.stderr)
        raise
    except BrokenPipeError:
        # the reader of our output (head, less) has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if debug:
            raise
        print(f"Error: {printable(str(error))}; look at the path, its permissions and the free space", file=sys.stderr)
        sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"catbuilder {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    workspace: WorkspaceOption = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    memory_limit: Annotated[
        str | None,
        typer.Option(
            "--memory-limit",
            envvar="CATBUILDER_MEMORY_LIMIT",
            help="What the catalogue's work may take, 8GB say; half the machine if not given.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    if memory_limit is not None:
        os.environ["CATBUILDER_MEMORY_LIMIT"] = memory_limit
    named_before_verb.clear()
    if workspace is not None:
        named_before_verb["workspace"] = workspace


@app.command(epilog="Example: catbuilder init des-y1 --classes elliptical,spiral --stamp-size 64")
def init(
    workspace: Annotated[Path, typer.Argument(help="Folder to make.")],
    classes: Annotated[
        str | None, typer.Option(help="Names of the classes, separated by commas; elliptical,spiral if not given.")
    ] = None,
    stamp_size: Annotated[int | None, typer.Option(help="Width of the stored stamps, px; 64 if not given.")] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe of `round` where none is named; paper if not given.")
    ] = None,
) -> None:
    """Make a new, empty workspace; a catbuilder.toml that is in the folder already decides."""
    from catbuilder.catalogue.new_workspace import create_workspace

    names = None if classes is None else [name.strip() for name in classes.split(",")]
    made = create_workspace(workspace, names, stamp_size, recipe)
    survey = next(iter(made.config.surveys), "SURVEY")
    print(
        f"Made the workspace {made.path} for {', '.join(made.config.classes)}. Next: catbuilder -w {workspace} "
        f"ingest images DIR --table T.csv --survey {survey}"
    )


@app.command(epilog="Example: catbuilder testset HP --survey des --table hp.csv")
def testset(
    name: Annotated[str, typer.Argument(help="HP, FO, or another name.")],
    survey: Annotated[str, typer.Option(help="Survey of the objects: sdss, des ...")],
    table: Annotated[Path, typer.Option(help="CSV with object_id and label (the truth; may be empty).")],
    workspace: WorkspaceOption = None,
) -> None:
    """Declare a fixed test set. Written once, then frozen."""
    from catbuilder.sets.testsets import add_test_set

    report = add_test_set(open_workspace(workspace), name, table, survey=survey)
    print(f"Test set {name} of {survey}: {report.members} objects, {report.with_truth} with a true class.")
    if report.already_trained:
        print(f"Careful: {report.already_trained} were trained on by earlier rounds; their metrics here mean nothing.")
    if report.known < report.members:
        print(f"{report.members - report.known} are not in the catalogue yet; ingest their images to test on them.")
    tell_rejections(report.rejections)


@app.command(epilog="Example: catbuilder crossmatch --radius 1.0 --surveys sdss,des")
def crossmatch(
    radius: Annotated[float, typer.Option(help="Largest separation of a pair, arcsec; up to 60.")] = 1.0,
    surveys: Annotated[
        str | None, typer.Option(help="Names, separated by commas; by default all whose objects have positions.")
    ] = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Find the same galaxies in two surveys, one to one and the nearest first."""
    from dataclasses import asdict

    import pyarrow as pa

    from catbuilder.core.progress import Reporter
    from catbuilder.core.table_text import show
    from catbuilder.sets.crossmatch import crossmatch

    names = None if surveys is None else [name.strip() for name in surveys.split(",")]
    with Reporter().bar("matching") as update:
        report = crossmatch(open_workspace(workspace), radius, names, update)
    show(pa.Table.from_pylist([asdict(match) for match in report.matches]), format)
    for sentence in report.sentences():
        print(sentence, file=sys.stdout if format == "table" else sys.stderr)


@app.command(epilog="Example: catbuilder assemble --recipe paper --hp hp_pairs.csv")
def assemble(
    recipe: Annotated[str | None, typer.Option(help="A shipped recipe's name, or a TOML file: its [sets].")] = None,
    hp: Annotated[
        Path | None, typer.Option(help="CSV of the pairs of HP (sdss_objid, des_coadd_object_id); else by rule.")
    ] = None,
    fo: Annotated[Path | None, typer.Option(help="CSV of the pairs of FO; else by rule.")] = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Build training, validation, HP, FO, calibration and pool from the catalogues, by rule."""
    import pyarrow as pa

    from catbuilder.core.recipe import load_recipe
    from catbuilder.core.table_text import show
    from catbuilder.sets.assemble import PAPER, assemble

    opened = open_workspace(workspace)
    report = assemble(opened, load_recipe(recipe or opened.config.recipe), hp=hp, fo=fo)
    paper = [PAPER.get((row["part"], row["survey"], row["class"])) for row in report.counts.to_pylist()]
    show(report.counts.append_column("paper", pa.array(paper, pa.int64())), format)
    print("\n".join(report.sentences()), file=sys.stdout if format == "table" else sys.stderr)


@app.command("round", epilog="Example: catbuilder round --n 5 --recipe paper --hosts node1:4,node2:4")
def run_round(
    n: Annotated[int, typer.Option("--n", min=1, help="How many rounds.")] = 1,
    recipe: Annotated[str | None, typer.Option(help="A shipped recipe's name, or a TOML file.")] = None,
    ranks: Annotated[
        int | None, typer.Option("--np", min=1, help="Processes that train together; at most 4 a core.")
    ] = None,
    hosts: Annotated[str, typer.Option(help="Where they run, as in node1:4,node2:4 (by ssh).")] = "",
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of all random streams.")] = 0,
    changes: ChangesOption = None,
    replan: Annotated[
        bool, typer.Option("--replan", help="Go on with an unfinished round on --hosts or --np as given now.")
    ] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="Only give up the unfinished round.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Train, score, promote and measure; an unfinished round is finished first."""
    from catbuilder.core.recipe import load_round_recipe
    from catbuilder.rounds.run import abandon_round, run_rounds

    opened = open_workspace(workspace)
    if abandon:
        print(f"Round {abandon_round(opened)} is given up: closed, with nothing promoted.")
        return
    chosen = load_round_recipe(recipe or opened.config.recipe, changes or ())

    def tell(outcome: "RoundOutcome") -> None:
        show_metrics(opened, [outcome.round], "table")

    run_rounds(opened, n, chosen, ranks=ranks, hosts=hosts, replan=replan, seed=seed, after_each=tell)


app.command(epilog='Example: catbuilder fetch --survey sdss --n 1000 --where "mag_r < 17"')(fetch)
app.command(epilog='Example: catbuilder cutouts --list job.csv --where "mag_g < 18"')(cutouts)
app.command(epilog="Example: catbuilder select --strategy margin --n 50 --out ask.csv")(select)
app.command(epilog="Example: catbuilder certificates --round 3")(certificates)
app.command(epilog="Example: catbuilder shifts --round 3")(shifts)


@app.command(epilog="Example: catbuilder score --round 3")
def score(
    number: Annotated[int | None, typer.Option("--round", help="Whose model; by default the latest.")] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Score objects that a finished model has not seen yet."""
    from catbuilder.rounds.scoring import score_later

    print(f"{score_later(open_workspace(workspace), number)} objects scored.")


app.command(epilog="Example: catbuilder status --format json")(status)
app.command(epilog="Example: catbuilder count --by predicted_label,source --at 3")(count)
app.command(epilog="Example: catbuilder compact --keep 3")(compact)
app.command(epilog="Example: catbuilder metrics --round 1 --round 3 --figure curves.pdf")(metrics)
app.command(epilog="Example: catbuilder report des-y1.html --figures figures")(report)


@app.command(epilog="Example: catbuilder why 587724241225383998")
def why(
    object_id: Annotated[str, typer.Argument(help="Id as the survey numbers it.")],
    survey: SurveyOption = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """One object's story: what it is, and why the catalogue thinks so."""
    from catbuilder.core.table_text import print_table, show
    from catbuilder.inspection.why import why

    story = why(open_workspace(workspace), object_id, survey)
    columns = ("round", "what", "detail")
    if format == "table":
        known = {name: value for name, value in story.now.items() if value is not None}
        print("\n".join(f"{name:>20}  {value}" for name, value in known.items()), end="\n\n")
        print_table(columns, story.events, right=["round"])
        return
    import pyarrow as pa

    show(pa.Table.from_pylist([dict(zip(columns, event, strict=True)) for event in story.events]), format)


app.command(epilog="Example: catbuilder similar 310493763 --n 20 --mosaic alike.png")(similar)
app.command(epilog="Example: catbuilder diff --from 1 --to 3 --out changed.csv")(diff)
app.command(epilog="Example: catbuilder compare other.fits --id OBJID --label TYPE --class spiral=S")(compare)


@app.command(epilog="Example: catbuilder check --deep")
def check(
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every byte: catalogue, stamps, scores, checkpoints.")
    ] = False,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Prove the catalogue's promises; exit code 1 where one is broken."""
    import pyarrow as pa

    from catbuilder.core.progress import Reporter
    from catbuilder.core.table_text import show
    from catbuilder.inspection.check import check

    with Reporter().bar("checking files") as update:
        findings = check(open_workspace(workspace), update, deep)
    rows = [
        {
            "check": f.check,
            "result": f"{f.count} faults" if f.count else "warning" if f.warnings else "ok",
            "promise": f.promise,
        }
        for f in findings
    ]
    show(pa.Table.from_pylist(rows), format)
    faults = [f"{finding.check}: {fault}" for finding in findings for fault in finding.faults]
    careful = [f"careful: {warning}" for finding in findings for warning in finding.warnings]
    print("".join(f"{line}\n" for line in faults + careful), file=sys.stderr, end="")
    if faults:
        raise typer.Exit(1)


app.command(epilog="Example: catbuilder backup /mnt/other-disk/des-y1")(backup)
app.command(epilog="Example: catbuilder restore /mnt/other-disk/des-y1 des-y1")(restore)
app.command(epilog="Example: catbuilder serve --port 8765")(serve)
labels_app.command("agreement", epilog="Example: catbuilder labels agreement --format csv")(labels_agreement)


@app.command(epilog='Example: catbuilder sql "SELECT label, count(*) FROM catalog GROUP BY label"')
def sql(
    query: Annotated[
        str | None,
        typer.Argument(help="One SELECT; see the tables with: SHOW TABLES, and their columns with: DESCRIBE catalog"),
    ] = None,
    example: Annotated[str | None, typer.Option(help="Ask a query of the cookbook in its place.")] = None,
    examples: Annotated[bool, typer.Option("--examples", help="Only list the queries of the cookbook.")] = False,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
    timeout: Annotated[float, typer.Option(help="Seconds before it is stopped.")] = 60.0,
    memory_limit: Annotated[int, typer.Option(min=1, help="MB it may use.")] = 2048,
) -> None:
    """Ask the catalogue in SQL: read-only, apart from everything else on this machine."""
    import pyarrow as pa

    from catbuilder.core.table_text import show
    from catbuilder.inspection import cookbook
    from catbuilder.inspection.sandbox import query_stream

    if examples:
        show(pa.Table.from_pylist([{"example": one.name, "title": one.title} for one in cookbook.examples()]), format)
        return
    if (query is None) == (example is None):
        raise typer.BadParameter(
            "give one SELECT, or --example NAME; the names are listed by: catbuilder sql --examples"
        )
    text = query if query is not None else cookbook.example(example or "").sql
    with query_stream(open_workspace(workspace), text, memory_mb=memory_limit, timeout_s=timeout) as reader:
        show(reader, format)


@app.command(epilog="Example: catbuilder rollback --to 2")
def rollback(
    to: Annotated[int, typer.Option("--to", min=0, help="Round whose promotions are to stand again; 0 for none.")],
    workspace: WorkspaceOption = None,
) -> None:
    """Take back the promotions of later rounds, by events; nothing is deleted."""
    from catbuilder.rounds.rollback import rollback

    report = rollback(open_workspace(workspace), to)
    print(
        f"{report.retracted} promotions taken back, {report.reinstated} reinstated. The next round goes on from there."
    )


@app.command(epilog="Example: catbuilder export spirals.fits --at 3 --where \"label = 'spiral'\"")
def export(
    target: Annotated[
        Path, typer.Argument(help="OUT.fits, OUT.vot, OUT.parquet or OUT.csv; or DIR.hats, a folder to make.")
    ],
    at: Annotated[int | None, typer.Option("--at", help="As of the end of this round.")] = None,
    where: Annotated[str | None, typer.Option(help="SQL condition on the columns of the catalogue.")] = None,
    fits_plus: Annotated[
        bool, typer.Option("--fits-plus", help="FITS with a VOTable of its metadata, as TOPCAT writes it.")
    ] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Write the catalogue as FITS, VOTable, Parquet, HATS or CSV, with units, UCDs and provenance."""
    from catbuilder.core.progress import Reporter
    from catbuilder.export.export import export

    report = export(open_workspace(workspace), target, at=at, where=where, fits_plus=fits_plus, reporter=Reporter())
    print(f"{target}: {' '.join(report.sentences())}")


app.command(epilog="Example: catbuilder release 1.0 --at 3 --where \"survey = 'des' AND domain = 'in'\"")(release)
app.command(epilog="Example: catbuilder track --to mlflow --dir http://localhost:5000")(track)


@app.command(epilog="Example: catbuilder simulate demo --seed 1")
def simulate(
    workspace: Annotated[Path, typer.Argument(help="Folder to make.")],
    objects: Annotated[
        int | None, typer.Option("--objects", min=200, help="Galaxies in all, shared out over the sets.")
    ] = None,
    calibration: Annotated[
        int | None, typer.Option("--calibration", min=0, help="DES galaxies for calibration, instead of their share.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sky.")] = 0,
    stamp_size: Annotated[int, typer.Option(help="Width of the stored stamps, px.")] = 64,
) -> None:
    """Make a survey with known truth, in SDSS and in DES, and bring it in."""
    from dataclasses import replace

    from catbuilder.simulation.galaxies import SurveyPlan
    from catbuilder.simulation.survey import simulate

    plan = SurveyPlan() if objects is None else SurveyPlan.of(objects)
    if calibration is not None:
        plan = replace(plan, calibration=calibration)
    tables = simulate(workspace, plan, seed, stamp_size)
    print(f"Simulated {len(tables)} tables into {workspace / 'sources'} and brought them in.")
    print(f"Next: catbuilder -w {workspace} round --n 3 --recipe demo")
