"""The documentation says what the program does: generated pages, the site, every query, the notebook."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from support.new_workspace import create_workspace
from support.small_survey import Source, bring_in, draw
from support.workspaces import add_events, add_objects, ask, cli, close_round, failed, label_event, surveyed, write_csv

from catbuilder.catalogue.connection import allow_only_catalogue
from catbuilder.catalogue.schema import data_dictionary
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.sky import healpix_cell
from catbuilder.inspection.cookbook import cookbook_queries, cookbook_query
from catbuilder.sets.crossmatch import crossmatch
from catbuilder.sets.testsets import add_test_set

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "notebooks" / "demo.ipynb"


def run(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


# --- pages and site


@pytest.fixture
def make_docs(monkeypatch, capsys):
    """Runs scripts/build/make_docs.py of a folder as `python` does; gives its exit code and lines."""
    monkeypatch.syspath_prepend(ROOT / "scripts" / "build")

    def run(folder: Path, *arguments: str) -> tuple[object, list[str]]:
        script = str(folder / "scripts" / "build" / "make_docs.py")
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(script, run_name="__main__")
        return end.value.code, capsys.readouterr().out.splitlines()

    return run


def test_pages_that_follow_from_the_program_are_up_to_date(make_docs):
    assert make_docs(ROOT, "--check") == (0, [])


def test_a_page_that_is_out_of_date_is_named_and_written(tmp_path, make_docs):
    (tmp_path / "scripts" / "build").mkdir(parents=True)
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("notebooks", "*.png"))
    shutil.copy(ROOT / "scripts" / "build" / "make_docs.py", tmp_path / "scripts" / "build")
    page = tmp_path / "docs" / "cookbook.md"
    page.write_text(page.read_text() + "by hand")
    (tmp_path / "docs" / "cli.md").unlink()
    changed = ("cli.md", "cookbook.md")
    stale = [f"docs/{name} is out of date; write it with: make docs" for name in changed]
    assert make_docs(tmp_path, "--check") == (1, stale)
    assert make_docs(tmp_path) == (0, [f"wrote docs/{name}" for name in changed])
    for name in changed:
        assert (tmp_path / "docs" / name).read_bytes() == (ROOT / "docs" / name).read_bytes()


def test_the_files_that_the_architecture_names_exist():
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`((?:[a-z_]+/)+[\w.-]*)`", text)) - {"stamps/des/00000.npy", "catbuilder/_data/"}
    assert len(named) > 40
    assert [name for name in named if not (ROOT / name).exists() and not (ROOT / "catbuilder" / name).exists()] == []


def test_the_site_builds_without_a_warning_and_takes_nothing_from_other_servers(tmp_path):
    done = run("-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path, NO_MKDOCS_2_WARNING="1")
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {page.name: page.read_text() for page in tmp_path.glob("*.html")}
    assert {"index.html", "tutorial.html", "cookbook.html", "cli.html", "notebook.html", "faq.html"} <= set(pages)
    for name, text in pages.items():
        fetched = re.findall(r'<(?:script|img|iframe|source)[^>]+(?:src|srcset)="([^"]+)"', text)
        fetched += re.findall(r'<link[^>]+rel="(?:stylesheet|preconnect|icon)"[^>]*href="([^"]+)"', text)
        assert fetched and not [one for one in fetched if "//" in one], name
    assert (tmp_path / "search" / "search_index.json").stat().st_size > 10_000


def test_every_table_and_view_has_a_description(tmp_path):
    with create_workspace(tmp_path / "ws").reading() as con:
        silent = con.execute(
            "SELECT table_name FROM duckdb_tables() WHERE comment IS NULL UNION "
            "SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL"
        ).fetchall()
        assert not silent, f"add to sql/tables.csv: {silent}"
        assert all(column.description for column in data_dictionary(con, "catalog"))


# --- the cookbook


@pytest.fixture(scope="module")
def survey(tmp_path_factory) -> Workspace:
    """Three closed rounds, a galaxy seen by two surveys, people's labels, and rows that were left out."""
    folder = tmp_path_factory.mktemp("cookbook")
    workspace = surveyed(folder / "ws")
    places = {"ra": [11.0, 12.0, 13.0, 14.0], "dec": [-1.0] * 4}
    places["healpix"] = healpix_cell(places["ra"], places["dec"]).tolist()
    with workspace.recording("the same galaxies in two surveys") as recording:
        add_objects(recording, "des", range(12, 16), **places)
        add_objects(recording, "sdss", range(101, 105), mag_r=[16.0, 17.0, 17.2, 18.0], **places)
        add_events(recording, label_event("sdss", 101, "spiral", "human", annotator="nina"))
    crossmatch(workspace, 1.0, None)
    table = write_csv(folder / "mine.csv", ("object_id", "label"), (102, "spiral"), (103, "nonsense"))
    assert cli("-w", workspace.path, "labels", "import", table, "--survey", "sdss").code == 0
    scores = {("des", n): (0.95, 0.05) if n % 2 else (0.4, 0.6) for n in range(1, 16)}
    close_round(workspace, scores | {("des", 6): (0.6, 0.4)} | {("sdss", n): (0.7, 0.3) for n in range(101, 105)})
    return workspace


def test_each_query_of_the_cookbook_answers_or_says_what_an_empty_answer_means(survey):
    assert len(cookbook_queries()) >= 30
    answers = {}
    with survey.reading() as con:
        allow_only_catalogue(con)  # as `catbuilder sql` does
        for one in cookbook_queries():
            answers[one.name] = con.execute(cookbook_query(one.name).sql).fetchall()
            assert answers[one.name] or "Empty" in one.remark, one.name
    empty = {name for name, rows in answers.items() if not rows}
    # nothing was certified, no features were kept, and the images of this survey are only named
    assert empty <= {"certificates", "is_the_pool_like_the_labels", "firewall", "same_image_twice"}
    for name in ("surest_errors", "certificates"):
        done = cli("-w", survey.path, "sql", "--example", name, "--format", "json")
        assert done.code == 0, done.err
        assert len(json.loads(done.out)) == len(answers[name]), name


def test_examples_are_listed_and_a_misspelt_one_is_told(survey):
    listed = json.loads(cli("sql", "--examples", "--format", "json").out)
    assert [row["example"] for row in listed] == [one.name for one in cookbook_queries()]
    failed(cli("-w", survey.path, "sql", "--example", "surest_error"), "did you mean 'surest_errors'?", "--examples")
    done = cli("-w", survey.path, "sql")
    assert done.code == 2 and "catbuilder sql --examples" in done.err


# --- the notebook


@pytest.fixture(scope="module")
def pictured(tmp_path_factory) -> Path:
    """Images of a few galaxies with scores of two rounds, test sets among them."""
    folder = tmp_path_factory.mktemp("notebook")
    workspace = create_workspace(folder / "ws", stamp_size=64)
    kinds = ["elliptical", "spiral"] * 5
    truth = write_csv(folder / "hp.csv", ("object_id", "label"), *((n, kinds[n]) for n in range(1, 7)))
    add_test_set(workspace, "HP", truth, survey="des")
    galaxies = [(Source(n, 10.0 + n, 1.0), draw(kinds[n], n)) for n in range(1, 10)]
    bring_in(workspace, folder / "images", "des", galaxies, split="pool")
    for sure in (0.9, 0.7):
        close_round(workspace, {("des", n): (sure, 1 - sure) if n % 2 else (1 - sure, sure) for n in range(1, 10)},
                    trained_on=[("des", 9, "training", "spiral")])  # fmt: skip
    return workspace.path


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(pictured, monkeypatch):
    monkeypatch.setenv("CATBUILDER_WORKSPACE", str(pictured))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(cwd=str(pictured))
    shown = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    pictures = [output for output in shown if {"image/png", "image/svg+xml"} & set(output["data"])]
    assert len(pictures) == 3, "a curve, a mosaic, a sky map"
    assert ask(Workspace.open(pictured), "SELECT count(*) FROM rounds") == [(2,)]


def test_the_notebook_as_stored_shows_what_it_gave_and_no_error():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells and all(cell.execution_count for cell in cells)
    assert not [output for cell in cells for output in cell.outputs if output.output_type in ("error", "stream")]
    assert NOTEBOOK.stat().st_size < 400_000
