"""The command `catbuilder`: list its verbs under headings and show errors in one line.

Every verb makes one call into the library, which a Python user can make too. The library is imported inside the verbs,
so that `catbuilder --help` answers at once: importing torch alone takes seconds.
"""

import logging
import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Annotated

import typer

from catbuilder.cli import export, fetch, inspect, labels, results, rounds, sets, web, workspace
from catbuilder.cli.empty_values import Verb
from catbuilder.cli.grouped_help import GroupedHelp
from catbuilder.cli.ingest import ingest_app
from catbuilder.cli.options import WorkspaceOption, named_before_verb
from catbuilder.core.errors import CatbuilderError
from catbuilder.core.interrupts import handle_interrupts
from catbuilder.core.safe_text import printable
from catbuilder.core.version import __version__

# The headings of the help. Under each: the name of a verb, its function (or a group of verbs), and an example.
_VERBS: dict[str, list[tuple[str, Callable[..., None] | typer.Typer, str]]] = {
    "Bring in": [
        ("init", workspace.init, "init des-y1 --classes elliptical,spiral --stamp-size 64"),
        ("simulate", workspace.simulate, "simulate demo --seed 1"),
        ("ingest", ingest_app, "ingest sdss photoobj.csv.gz --keep extinction_r"),
        ("fetch", fetch.fetch, 'fetch --survey sdss --n 1000 --where "mag_r < 17"'),
        ("cutouts", fetch.cutouts, 'cutouts --list job.csv --where "mag_g < 18"'),
    ],
    "Build sets": [
        ("crossmatch", sets.crossmatch, "crossmatch --radius 1.0 --surveys sdss,des"),
        ("assemble", sets.assemble, "assemble --recipe paper --hp hp_pairs.csv"),
        ("testset", sets.testset, "testset HP --survey des --table hp.csv"),
    ],
    "Run rounds": [
        ("round", rounds.run_round, "round --n 5 --recipe paper --np 8 --cluster auto"),
        ("score", rounds.score, "score --round 3"),
        ("rollback", rounds.rollback, "rollback --to 2"),
        ("experiment", rounds.experiment_app, "experiment recursion --seeds 10 --recipe real"),
    ],
    "Look": [
        ("status", inspect.status, "status --format json"),
        ("metrics", results.metrics, "metrics --round 1 --round 3 --figure curves.pdf"),
        ("report", results.report, "report des-y1.html --figures figures"),
        ("serve", web.serve, "serve --port 8765"),
        ("why", inspect.why, "why 587724241225383998"),
        ("similar", inspect.similar, "similar 310493763 --n 20 --mosaic alike.png"),
        ("count", inspect.count, "count --by predicted_label,source --at 3"),
        ("diff", inspect.diff, "diff --from 1 --to 3 --out changed.csv"),
        ("compare", inspect.compare, "compare other.fits --id OBJID --label TYPE --class spiral=S"),
        ("certificates", results.certificates, "certificates --round 3"),
        ("shifts", results.shifts, "shifts --round 3"),
        ("sql", inspect.sql, 'sql "SELECT label, count(*) FROM catalog GROUP BY label"'),
    ],
    "Ask people": [
        ("select", labels.select, "select --strategy margin --n 50 --out ask.csv"),
        ("labels", labels.labels_app, "labels import mine.csv --source human"),
    ],
    "Publish": [
        ("export", export.export, "export spirals.fits --at 3 --where \"label = 'spiral'\""),
        ("release", export.release, "release 1.0 --at 3 --where \"survey = 'des' AND domain = 'in'\""),
        ("track", export.track, "track --to mlflow --dir http://localhost:5000"),
    ],
    "Keep safe": [
        ("check", inspect.check, "check --deep"),
        ("backup", workspace.backup, "backup /mnt/other-disk/des-y1"),
        ("restore", workspace.restore, "restore /mnt/other-disk/des-y1 des-y1"),
        ("compact", workspace.compact, "compact --keep 3"),
    ],
}


class _VerbGroup(GroupedHelp):
    order = tuple(name for verbs in _VERBS.values() for name, *_ in verbs)


app = typer.Typer(
    name="catbuilder",
    cls=_VerbGroup,
    help="Turn a few thousand labelled galaxies into the catalogue of a whole survey.",
    epilog="Start with: catbuilder simulate demo && catbuilder -w demo round --n 3 --recipe demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for _heading, _verbs in _VERBS.items():
    for _name, _verb, _example in _verbs:
        _epilog = f"Example: catbuilder {_example}"
        if isinstance(_verb, typer.Typer):
            app.add_typer(_verb, name=_name, epilog=_epilog, rich_help_panel=_heading)
        else:
            app.command(_name, cls=Verb, epilog=_epilog, rich_help_panel=_heading)(_verb)

_INTERRUPTED = 130


@cache
def _command() -> Callable[[], object]:
    """Make the verbs from their functions: a twentieth of a second, which a process that calls `main` often saves."""
    return typer.main.get_command(app)


def main() -> None:
    """Run the command. An error that a user can mend prints one line on standard error and exits with code 1."""
    debug = "--debug" in sys.argv
    handle_interrupts()
    _show_notices()
    try:
        _command()()
    except CatbuilderError as error:
        if debug:
            raise
        print(f"Error: {printable(str(error))}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:
        if end.code == _INTERRUPTED:  # typer turns Ctrl-C into this exit and prints nothing
            print("Stopped. What was recorded is kept; run the same command again to continue.", file=sys.stderr)
        raise
    except BrokenPipeError:
        # the program that reads our output (head, less) has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if debug:
            raise
        print(f"Error: {printable(str(error))}; check the path, its permissions and the free space", file=sys.stderr)
        sys.exit(1)


class _Notices(logging.Handler):
    """Prints what the library logs, such as which process it waits for, on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        print(record.getMessage(), file=sys.stderr, flush=True)


def _show_notices() -> None:
    log = logging.getLogger("catbuilder")
    if not any(isinstance(handler, _Notices) for handler in log.handlers):
        log.addHandler(_Notices())
        log.setLevel(logging.INFO)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"catbuilder {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    workspace: WorkspaceOption = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the Python traceback of an error.")] = False,
    memory_limit: Annotated[
        str | None,
        typer.Option(
            "--memory-limit",
            envvar="CATBUILDER_MEMORY_LIMIT",
            help="Memory limit for DuckDB, e.g. 8GB (default: half of the machine).",
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
