"""The command line: the help of every verb, and what status, why, metrics, labels, rollback and check print."""

import csv
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.new_workspace import create_workspace
from support.parse_command import parse_command
from support.workspaces import SIZE, add_objects, ask, cli, failed, process, surveyed, write_csv
from typer.main import get_command

from catbuilder.catalogue.workspace import Workspace
from catbuilder.cli.main import _VERBS, app
from catbuilder.core.version import __version__

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Two closed rounds; read only."""
    return surveyed(tmp_path_factory.mktemp("cli") / "ws")


@pytest.fixture
def workspace(survey, tmp_path):
    """A copy of it, to be changed."""
    return Workspace.open(shutil.copytree(survey.path, tmp_path / "ws"))


# --- help


def verbs(command=None, path=()):
    """Every command that does something, as (its words, the command)."""
    command = command or get_command(app)
    if not hasattr(command, "commands"):
        return [(path, command)]
    return [found for name, sub in command.commands.items() for found in verbs(sub, (*path, name))]


VERBS = verbs()


@pytest.mark.parametrize(("words", "command"), VERBS, ids=[" ".join(words) for words, _ in VERBS])
def test_the_help_of_every_verb_ends_in_an_example_that_parses(words, command):
    done = cli(*words, "--help")
    assert done.code == 0 and done.err == ""
    assert " ".join(done.out.split()).endswith(" ".join(command.epilog.split()))
    for example in command.epilog.removeprefix("Example: ").split("\n\n"):
        assert example.startswith(f"catbuilder {' '.join(words)}")
        parse_command(example)


@pytest.mark.parametrize(("words", "command"), VERBS, ids=[" ".join(words) for words, _ in VERBS])
def test_every_verb_says_what_it_does_and_what_its_options_are(words, command):
    assert command.help and len(command.help.splitlines()[0]) < 100
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{' '.join(words)} {parameter.name}"


def test_the_verbs_of_the_contract_are_there():
    named = {" ".join(words) for words, _ in VERBS}
    assert named >= {
        "init", "ingest images", "testset", "round", "score", "status", "metrics", "why", "check", "sql",
        "labels import", "labels export", "rollback", "export", "simulate",
    }  # fmt: skip


def test_the_help_shows_every_verb_on_one_line_under_a_heading():
    headings: dict[str, list[str]] = {}
    for line in cli("--help").out.splitlines():
        if re.fullmatch(r"[A-Z][a-z ]+:", line):
            lines = headings.setdefault(line.removesuffix(":"), [])
        elif re.match(r"  [a-z]", line) and headings:
            lines.append(line.split()[0])
            assert len(line) <= 80 and re.search(r"  [A-Z].*\w$", line) and "..." not in line, line
    del headings["Options"]
    assert list(headings) == list(_VERBS) and len(headings) == 7
    assert headings == {heading: [name for name, *_ in verbs] for heading, verbs in _VERBS.items()}


@pytest.mark.parametrize("group", [name for name, one in get_command(app).commands.items() if hasattr(one, "commands")])
def test_the_help_of_a_group_of_verbs_ends_in_an_example_too(group):
    epilog = get_command(app).commands[group].epilog
    assert " ".join(cli(group, "--help").out.split()).endswith(epilog)
    parse_command(epilog.removeprefix("Example: "))


def test_help_lists_the_verbs_and_answers_at_once():
    seconds = []
    for _ in range(5):
        started = time.monotonic()
        done = process("--help")
        seconds.append(time.monotonic() - started)
    assert done.code == 0 and {words[0] for words, _ in VERBS} <= set(done.out.split())
    # a third of a second on an idle machine; torch alone would take several
    assert statistics.median(seconds) < 1.5


def test_the_version_is_printed():
    assert cli("--version").out == f"catbuilder {__version__}\n"


def documented_commands():
    """Each command that stands in the documentation: in indented or fenced blocks, or between backticks."""
    for file in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))):
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        for line in re.findall(r"^ *(?:\$ )?(catbuilder .*)$|`(catbuilder [^`]+)`", text, flags=re.MULTILINE):
            for command in "".join(line).split("&&"):
                # a sentence may begin with our name; `r` stands for the number of a round
                words = command.split()
                if words[0] == "catbuilder" and (words[1][0] == "-" or words[1] in {w[0] for w, _ in VERBS}):
                    if words[-1] in ("[OPTIONS]", "--install-completion"):  # how a verb is used; an option that ends
                        continue
                    yield file.name, re.sub(r" r\b", " 1", command.strip())


def test_every_command_in_the_documentation_exists():
    found = list(documented_commands())
    assert len(found) >= 8
    for file, command in found:
        try:
            parse_command(command)
        except Exception as error:
            pytest.fail(f"{file}: {command}: {error}")


# --- where the workspace is


def test_the_workspace_is_named_before_or_after_the_verb_or_by_the_environment_or_is_here(survey, monkeypatch):
    asked = "sql", "SELECT count(*) AS n FROM objects", "--format", "csv"
    answer = '"n"\n13\n'
    assert cli("-w", survey.path, *asked).out == answer
    assert cli(*asked, "--workspace", survey.path).out == answer
    monkeypatch.setenv("CATBUILDER_WORKSPACE", str(survey.path))
    assert cli(*asked).out == answer
    monkeypatch.delenv("CATBUILDER_WORKSPACE")
    monkeypatch.chdir(survey.path)
    assert cli(*asked).out == answer


# --- the three questions


def test_why_tells_label_model_round_and_score(survey):
    done = cli("-w", survey.path, "why", "5", "--survey", "des")
    assert done.code == 0
    now, events = done.out.split("\n\n", 1)
    told = dict(line.split(maxsplit=1) for line in now.splitlines())
    assert (told["label"], told["source"], told["label_round"], told["model"]) == ("elliptical", "promoted", "1", "2")
    assert re.search(r"1 +scored +elliptical at 0.9500 by the model of round 1 \(sha256 111111111111", events)
    assert re.search(r"1 +label +event 5: elliptical from promoted, confidence 0.9500: top_k", events)


def test_why_gives_a_number_the_digits_that_it_was_recorded_with(workspace):
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", [777], mag_r=17.851, ra=54.0710105, dec=-18.3210192)
    told = cli("-w", workspace.path, "why", "777").out
    assert re.search(r"mag_r  17\.851\n", told) and re.search(r" ra  54\.0710105\n", told)


def test_why_shows_retractions_and_their_rounds(survey):
    story = json.loads(cli("-w", survey.path, "why", "6", "--survey", "des", "--format", "json").out)
    assert [event["what"] for event in story][-4:] == ["scored", "label", "scored", "label retracted"]
    assert story[-1]["round"] == 2 and "round 2 scores it elliptical at 0.6000" in story[-1]["detail"]


def test_why_tells_who_gave_a_label_and_that_a_test_object_is_never_trained_on(survey):
    assert "spiral from human (edwin)" in cli("-w", survey.path, "why", "3").out
    told = cli("-w", survey.path, "why", "9").out
    assert "member of HP: never trained on, never promoted" in told
    assert re.search(r"1 +training +as elliptical \(imported\), recipe toy, seed 7",
                     cli("-w", survey.path, "why", "1").out)  # fmt: skip


def test_why_of_an_unknown_or_ambiguous_id_says_what_to_do(survey):
    failed(cli("-w", survey.path, "why", "5"), "is in des and sdss", "--survey")
    failed(cli("-w", survey.path, "why", "999"), "no object 999")
    failed(cli("-w", survey.path, "why", "9", "--survey", "sdss"), "no object 9 of survey sdss", "it is in des")
    failed(cli("-w", survey.path, "why", "5.5"), "5.5 is not a whole positive number")
    failed(cli("-w", survey.path, "why", ""), "OBJECT_ID is empty")


def test_the_catalogue_of_an_earlier_round_is_one_query(survey):
    query = "SELECT label FROM catalog_at(1) WHERE survey = 'des' AND object_id = 6"
    assert cli("-w", survey.path, "sql", query, "--format", "csv").out == '"label"\n"spiral"\n'


# --- status and metrics


def test_status_counts_what_is_there_and_where_the_rounds_stand(survey):
    rows = json.loads(cli("-w", survey.path, "status", "--format", "json").out)
    assert {(row["survey"], row["part"]): row["objects"] for row in rows} == {
        ("des", "pool"): 4, ("des", "test HP"): 3, ("des", "train"): 4, ("sdss", "pool"): 2,
    }  # fmt: skip
    pool = rows[0]
    assert (pool["good_stamps"], pool["asserted"], pool["promoted"], pool["scored"]) == (4, 0, 2, 4)
    table = cli("-w", survey.path, "status").out
    assert re.search(r"2 +toy +7 +1 +closed", table) and "not closed" not in table


def test_status_of_a_new_workspace_says_what_comes_next(tmp_path):
    workspace = create_workspace(tmp_path / "ws", stamp_size=SIZE)
    assert "Next: catbuilder ingest images" in cli("-w", workspace.path, "status").out
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", [1])
    assert "Next: catbuilder round" in cli("-w", workspace.path, "status").out
    assert json.loads(cli("-w", workspace.path, "metrics", "--format", "json").out) == []


def test_metrics_give_a_line_a_round_and_set_with_its_interval(survey):
    rows = json.loads(cli("-w", survey.path, "metrics", "--format", "json").out)
    assert [(row["round"], row["test_set"], row["survey"], row["accuracy"]) for row in rows] == [
        (1, "HP", "des", 1.0), (2, "HP", "des", 1.0)]  # fmt: skip
    assert rows[0]["low"] < rows[0]["accuracy"] <= rows[0]["high"] + 1e-9 and rows[0]["unscorable"] == 1
    assert len(json.loads(cli("-w", survey.path, "metrics", "--round", 2, "--format", "json").out)) == 1
    every = json.loads(cli("-w", survey.path, "metrics", "--all", "--round", 1, "--format", "json").out)
    assert {"confusion", "auc", "f1"} <= {row["metric"] for row in every}


def test_an_unknown_round_is_refused(survey):
    for options in ((), ("--all",)):
        failed(cli("-w", survey.path, "metrics", "--round", 9, *options), "there is no round 9; the rounds are 1 to 2")
    failed(cli("-w", survey.path, "score", "--round", 9), "there is no round 9")
    failed(cli("-w", survey.path, "rollback", "--to", 9), "there is no round 9")
    failed(cli("-w", survey.path, "export", survey.path / "x.fits", "--at", 9), "there is no round 9")


# --- labels


def test_exported_labels_come_back_the_same(workspace, tmp_path):
    assert "6 labels written" in cli("-w", workspace.path, "labels", "export", tmp_path / "labels.csv").out
    with open(tmp_path / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["survey"], int(row["object_id"]), row["label"], row["source"]) for row in rows} == set(
        ask(workspace, "SELECT survey, object_id, label, source FROM catalog WHERE label IS NOT NULL")
    )
    assert [row["annotator"] for row in rows if row["source"] == "human"] == ["edwin", "edwin"]

    other = create_workspace(tmp_path / "other", stamp_size=SIZE)
    with other.recording("objects") as recording:
        add_objects(recording, "des", range(1, 12))
    done = cli("-w", other.path, "labels", "import", tmp_path / "labels.csv")
    assert "4 labels recorded, 0 were there" in done.out
    assert "2 rows could not be used" in done.err and "the label was promoted by a round" in done.err
    kept = """SELECT object_id, label, confidence, source FROM catalog
              WHERE label IS NOT NULL AND source <> 'promoted' ORDER BY ALL"""
    assert ask(other, kept) == ask(workspace, kept)
    assert "0 labels recorded, 4 were there" in cli("-w", other.path, "labels", "import", tmp_path / "labels.csv").out


def test_exporting_and_importing_in_place_repeats_no_persons_label(workspace, tmp_path):
    cli("-w", workspace.path, "labels", "export", tmp_path / "labels.csv")
    cli("-w", workspace.path, "labels", "import", tmp_path / "labels.csv")
    assert ask(workspace, "SELECT count(*) FROM labels WHERE source = 'human'") == [(2,)]


def test_a_persons_label_outweighs_the_promotion_and_the_story_says_so(workspace, tmp_path):
    table = write_csv(tmp_path / "mine.csv", ("object_id", "label", "annotator"), (7, "spiral", "nina"))
    done = cli("-w", workspace.path, "labels", "import", table, "--source", "human", "--survey", "des")
    assert done.out == "1 label recorded, 0 were there already.\n"
    told = cli("-w", workspace.path, "why", "7").out
    assert re.search(r"source +human", told) and "spiral from human (nina): imported from mine.csv, row 2" in told


def test_a_file_that_cannot_be_written_is_an_error_of_one_line(survey, tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "out.fits").mkdir()
    for verb, place, said in (
        ("labels export", ".", "is a folder; give the name of a file"),
        ("labels export", "file/x.csv", "is a file and not a folder"),
        ("export", "out.fits", "is a folder; give the name of a file"),
    ):
        failed(cli("-w", survey.path, *verb.split(), tmp_path / place), str(tmp_path), said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "out.fits"]


def test_the_folder_exports_of_a_workspace_is_made_and_no_other(workspace, tmp_path):
    assert cli("-w", workspace.path, "export", workspace.path / "exports" / "all.csv").code == 0
    failed(cli("-w", workspace.path, "export", tmp_path / "none" / "all.csv"), "there is no folder", "make it")


# --- rollback and check


def test_rollback_takes_later_promotions_back_and_reinstates_earlier_ones(workspace):
    done = cli("-w", workspace.path, "rollback", "--to", 1)
    assert "1 promotion retracted, 1 reinstated" in done.out
    promoted = "SELECT object_id, label FROM catalog WHERE source = 'promoted' ORDER BY ALL"
    assert ask(workspace, promoted) == [(5, "elliptical"), (6, "spiral")]
    assert ask(workspace, promoted.replace("catalog", "catalog_at(2)")) == [(5, "elliptical"), (7, "elliptical")]


def test_check_names_what_is_broken_and_exits_with_one(workspace):
    with workspace.recording("damage") as recording:
        recording.con.execute("DELETE FROM labels WHERE event = 3")
        recording.con.execute("INSERT INTO objects BY NAME SELECT * FROM objects WHERE object_id = 8")
        recording.con.execute("INSERT INTO training VALUES (2, 'des', 9, 'training', 'spiral', 'human', 1)")
    done = cli("-w", workspace.path, "check", "--format", "json")
    assert done.code == 1 and "Traceback" not in done.err
    results = {row["check"]: row["result"] for row in json.loads(done.out)}
    broken = {name for name, result in results.items() if result != "ok"}
    assert {"test_sets_untouched", "events_gapless", "objects_unique", "stamps", "models"} <= broken
    assert "labels_explained" not in broken and "des 8 has 2 current rows" in done.err


# --- Ctrl-C


def test_an_interrupted_command_says_what_to_do(tmp_path):
    simulate = "from catbuilder.cli.main import main; main()", "simulate", tmp_path / "ws", "--objects", "600"
    process = subprocess.Popen(
        [sys.executable, "-c", *simulate],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        end = time.monotonic() + 60
        while not list(tmp_path.glob("ws/sources/*/*/*.png")):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == 130
    assert said.strip().splitlines()[-1].endswith("run the same command again to continue.")
    assert "Traceback" not in said
