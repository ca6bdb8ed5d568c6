"""Mistakes that people make, each as they would make it: the answer is one sentence, and it names the next command."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from support.new_workspace import create_workspace
from support.parse_command import parse_command
from support.workspaces import (
    SIZE,
    add_events,
    add_objects,
    cli,
    close_round,
    failed,
    label_event,
    process,
    surveyed,
    write_csv,
    write_images,
)

from catbuilder.core.machine import has_gpu, usable_cores
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import load_recipe
from catbuilder.rounds.planning import make_plan


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Path:
    """A workspace in which nothing is; read only."""
    return create_workspace(tmp_path_factory.mktemp("empty") / "ws", stamp_size=SIZE).path


@pytest.fixture(scope="module")
def survey(tmp_path_factory) -> Path:
    """Two closed rounds; read only."""
    return surveyed(tmp_path_factory.mktemp("mistakes") / "ws").path


def names_a_command(said: str) -> str:
    """The last command that a sentence names, which must be one that there is."""
    command = re.findall(r"catbuilder [a-z](?:(?!catbuilder [a-z])[^;])*", said)[-1].strip()
    if command.count(")") > command.count("("):
        command = command.rpartition(")")[0]
    parse_command(command)
    return command


# --- where the workspace is


def test_a_folder_that_is_none_says_how_to_make_one(tmp_path):
    said = failed(cli("-w", tmp_path, "status"), f"{tmp_path} is not a workspace")
    assert names_a_command(said) == f"catbuilder init {tmp_path}"


def test_the_folder_above_or_inside_the_workspace_says_where_it_is(tmp_path):
    made = create_workspace(tmp_path / "des-y1", stamp_size=SIZE).path
    (made / "rounds" / "001").mkdir(parents=True)
    for place in (tmp_path, made / "rounds" / "001"):
        assert f"there is one in {made}: name it with -w {made}" in failed(cli("-w", place, "status"))


def test_a_misspelt_folder_is_told_from_its_neighbour(tmp_path):
    made = create_workspace(tmp_path / "des-y1", stamp_size=SIZE).path
    said = failed(cli("-w", tmp_path / "des-y2", "status"), "des-y2 does not exist", f"name it with -w {made}")
    assert names_a_command(said) == f"catbuilder init {tmp_path / 'des-y2'}"


def test_a_workspace_of_a_newer_catbuilder_says_so(tmp_path):
    made = create_workspace(tmp_path / "ws", stamp_size=SIZE)
    with duckdb.connect(str(made.catalog_file)) as con:
        con.execute("INSERT INTO migrations VALUES (999, '0999_later', '9.9', now())")
    failed(cli("-w", made.path, "status"), "has schema 999", "install the newer catbuilder that made it")


def test_classes_changed_afterwards_are_refused_before_anything_is_read(tmp_path):
    made = create_workspace(tmp_path / "ws", stamp_size=SIZE)
    file = made.path / "catbuilder.toml"
    file.write_text(file.read_text().replace('"spiral"', '"spiral", "edge_on"'))
    said = failed(cli("-w", made.path, "status"), "the catalogue was made for elliptical, spiral; put them back")
    assert names_a_command(said) == "catbuilder init WORKSPACE --classes elliptical,spiral,edge_on"


# --- what to do


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["staus"], "status"),
        (["ingest", "image"], "images"),
        (["lables", "import", "x.csv"], "labels"),
        (["chek"], "check"),
    ],
)
def test_a_misspelt_verb_is_told_which_one_was_meant(words, meant):
    done = cli(*words)
    assert (
        done.code == 2 and f"Did you mean '{meant}'" in done.err and "catbuilder" in done.err and "--help" in done.err
    )


def test_a_misspelt_option_is_told_which_ones_there_are():
    done = cli("round", "--recip", "demo")
    assert done.code == 2 and "--recipe" in done.err and "--help" in done.err


def test_an_unknown_recipe_is_told_which_ones_are_shipped(empty):
    failed(
        cli("-w", empty, "round", "--recipe", "demmo"), "did you mean 'demo'", "certified, demo, paper, real", ".toml"
    )


def test_a_round_before_anything_is_labelled_says_what_to_bring_in(empty):
    done = cli("-w", empty, "round", "--recipe", "demo")
    assert done.code == 1
    assert names_a_command(done.err).startswith("catbuilder ingest images DIR")


def test_labels_without_images_say_what_is_missing(tmp_path):
    made = create_workspace(tmp_path / "ws", stamp_size=SIZE)
    with made.recording("labels") as recording:
        add_objects(recording, "sdss", range(1, 9), split="train", quality="unreadable", shard=None, row=None)
        add_events(recording, *(label_event("sdss", n, ("elliptical", "spiral")[n % 2]) for n in range(1, 9)))
    done = cli("-w", made.path, "round", "--recipe", "demo")
    assert done.code == 1 and "has a label and a good stamp" in done.err
    assert names_a_command(done.err).startswith("catbuilder ingest images")


def test_two_processes_without_horovod_say_how_to_build_it_or_do_without(tmp_path):
    (tmp_path / "horovod.py").write_text("raise ImportError('it was never built')\n")
    made = create_workspace(tmp_path / "ws", stamp_size=SIZE)
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    done = process("-w", made.path, "round", "--recipe", "demo", "--np", 2, PYTHONPATH=path)
    said = failed(done, "needs Horovod", "it was never built", "scripts/build/build_horovod.sh")
    assert names_a_command(said) == "catbuilder round --np 1"


def test_far_more_processes_than_cores_are_refused_before_anything_is_planned(empty):
    said = failed(cli("-w", empty, "round", "--recipe", "demo", "--np", 4 * usable_cores() + 1), "too many")
    assert f"give --np {usable_cores()} (" in said and not (empty / "rounds" / "001").exists()


def test_a_recipe_made_for_gpus_is_told_of_where_there_is_none(tmp_path, capsys):
    made = create_workspace(tmp_path / "ws", stamp_size=SIZE)
    folder = write_images(tmp_path / "images", [f"{n}.png" for n in range(8)])
    rows = [(n, f"{n}.png", 9.0 * n, 1.0, ("elliptical", "spiral")[n % 2]) for n in range(8)]
    table = write_csv(tmp_path / "t.csv", ("object_id", "file", "ra", "dec", "label"), *rows)
    assert cli("-w", made.path, "ingest", "images", folder, "--table", table, "--survey", "sdss").code == 0
    make_plan(made, load_recipe("paper"), 1, 0, Reporter())
    assert ("warning: no GPU was found" in capsys.readouterr().err) == (not has_gpu())


def test_scores_metrics_and_exports_before_the_first_round_say_so(empty, tmp_path):
    assert names_a_command(failed(cli("-w", empty, "score"))) == "catbuilder round"
    done = cli("-w", empty, "metrics")
    assert done.code == 0 and names_a_command(done.err) == "catbuilder round"
    for asked in (("export", tmp_path / "x.fits", "--at", 1), ("diff", "--from", 1, "--to", 2)):
        assert names_a_command(failed(cli("-w", empty, *asked), "no round has been run yet")) == "catbuilder round"


def test_metrics_without_a_test_set_say_how_to_declare_one(tmp_path):
    made = create_workspace(tmp_path / "ws", stamp_size=SIZE)
    with made.recording("objects") as recording:
        add_objects(recording, "des", range(1, 5))
    close_round(made, {("des", n): (0.9, 0.1) for n in range(1, 5)})
    done = cli("-w", made.path, "metrics")
    assert done.code == 0 and "catbuilder testset NAME --survey SURVEY --table T.csv" in done.err


# --- what is asked for


@pytest.mark.parametrize("name", ["catalog.xls", "catalog", "catalog.fits.gz"])
def test_an_export_of_another_format_says_which_there_are(survey, tmp_path, name):
    said = failed(cli("-w", survey, "export", tmp_path / name), ".fits, .vot, .parquet or .csv")
    assert names_a_command(said).startswith("catbuilder export") and ".fits" in said


@pytest.mark.parametrize("words", [["export", "{place}/x.fits"], ["count"], ["cutouts", "--list", "{place}/x.csv"]])
def test_a_condition_on_an_unknown_column_names_those_like_it(survey, tmp_path, words):
    words = [word.format(place=tmp_path) for word in words]
    said = failed(cli("-w", survey, *words, "--where", "lable = 'spiral'"), '"lable" not found', "did you mean label")
    assert names_a_command(said) == 'catbuilder sql "DESCRIBE catalog"'
    assert not (tmp_path / "x.fits").exists()


def test_an_unknown_column_to_count_by_names_the_one_like_it(survey):
    failed(cli("-w", survey, "count", "--by", "predicted"), "no column predicted (did you mean predicted_label?)")


def test_an_unknown_survey_says_which_there_are_and_where_to_add_it(empty, tmp_path):
    folder = write_images(tmp_path / "images", ("1.png",))
    table = write_csv(tmp_path / "t.csv", ("object_id", "file"), (1, "1.png"))
    command = ("-w", empty, "ingest", "images", folder, "--table", table, "--survey")
    failed(cli(*command, "decals"), "this workspace has sdss, des", "[surveys.decals]", f"{empty / 'catbuilder.toml'}")
    failed(cli(*command, "ddes"), "did you mean 'des'?")


def test_an_unknown_object_says_how_to_see_which_ids_there_are(survey):
    said = failed(cli("-w", survey, "why", 12), "no object 12 is in the catalogue")
    query = shlex.split(names_a_command(said))[2]
    assert cli("-w", survey, "sql", query, "--format", "csv").out.splitlines()[1].split(",")[1] == "11"
    said = failed(cli("-w", survey, "why", "NGC 1300"), "no object named 'NGC 1300' is in the catalogue")
    assert cli("-w", survey, "sql", shlex.split(names_a_command(said))[2]).code == 0


def test_a_table_that_is_not_there_is_told_by_name(empty, tmp_path):
    failed(cli("-w", empty, "labels", "import", tmp_path / "no.csv"), "no.csv", "CSV file with a header row")


# --- shell completion


def test_completion_installs_for_the_shell_that_asks_and_completes_verbs_and_options(tmp_path):
    assert "bash completion installed" in _in_home(tmp_path, ["bash", "-c", "catbuilder --install-completion; true"])
    script = """
        source ~/.bashrc
        function=$(complete -p catbuilder | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
        complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); "$function" "$1"; echo "${COMPREPLY[@]}"; }
        complete_words catbuilder sta
        complete_words catbuilder ingest im
        complete_words catbuilder export --wh
    """
    assert _in_home(tmp_path, ["bash", "-c", script]).splitlines() == ["status", "images", "--where"]


@pytest.mark.parametrize(("shell", "file"), [("zsh", ".zshrc"), ("fish", ".config/fish/completions/catbuilder.fish")])
def test_completion_installs_for_other_shells(shell, file, tmp_path):
    # which shell asks is found out by looking at the parent process; here it is told
    told = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    assert f"{shell} completion installed" in _in_home(tmp_path, [_CATBUILDER, "--install-completion", shell], **told)
    assert (tmp_path / file).read_text()


_CATBUILDER = str(Path(sys.executable).with_name("catbuilder"))


def _in_home(home: Path, command: list[str], **environment: str) -> str:
    path = os.pathsep.join((str(Path(_CATBUILDER).parent), os.environ["PATH"]))
    environment = {**os.environ, "HOME": str(home), "PATH": path, **environment}
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
