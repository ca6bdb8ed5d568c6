"""A workspace whose name is a pattern, beside one that the pattern matches: no verb reads or writes the other one."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.command_line import CommandLine
from support.contents import rows
from support.small_survey import write_recipe
from support.workspaces import cli, failed, write_csv, write_images

from catbuilder.catalogue.connection import literal_path
from catbuilder.catalogue.new_workspace import create_workspace
from catbuilder.core.errors import InputError
from catbuilder.core.files import sha256_file
from catbuilder.ingest.tables.parquet_folder import parquet_parts

PATTERN, MATCHED = "ws [1]*'s {a,b} x=1", "ws 1's {a,b} x=1"
RELEASE = '\n[release]\ntitle = "t"\nlicence = "CC0-1.0"\ncreators = [{family = "a", given = "b"}]\n'


@pytest.fixture
def beside(first_round, tmp_path):
    """The survey after a round as `PATTERN`, and as `MATCHED` with every score and label another."""
    for name in (PATTERN, MATCHED):
        shutil.copytree(first_round, tmp_path / name)
        with open(tmp_path / name / "catbuilder.toml", "a") as file:
            file.write(RELEASE)
    other = tmp_path / MATCHED
    for file in other.glob("rounds/001/scores/*.parquet"):
        table = pq.read_table(file)
        pq.write_table(table.set_column(1, "object_id", pa.array([-7] * len(table), pa.int64())), file)
    quick = write_recipe(tmp_path / "quick.toml", batch_size=20, scored_at_once=60, symmetries=1, epochs=1)
    command = CommandLine(tmp_path / PATTERN, quick)
    yield command
    command.stop()


def test_every_verb_in_a_workspace_named_like_a_pattern_leaves_its_neighbour_alone(
    beside, first_round, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    other = {path: sha256_file(path) for path in (tmp_path / MATCHED).rglob("*") if path.is_file()}
    run, number = beside, rows(first_round, "SELECT object_id FROM catalog WHERE survey = 'des' LIMIT 1")[0][0]
    write_images(tmp_path / "new [i]*", ["a.png", "b.png"], seed=5)
    table = write_csv(tmp_path / "t[1].csv", ["object_id", "file"], (991, "a.png"), (992, "b.png"))
    write_csv(tmp_path / "t1.csv", ["object_id", "file"], (993, "a.png"))
    run("ingest", "images", "new [i]*", "--table", table, "--survey", "des", "--split", "pool")
    assert rows(run.workspace, "SELECT count(*) FROM objects WHERE object_id BETWEEN 991 AND 993") == [(2,)]
    run("score")
    run.round()  # records scores, fits a calibrator, measures shifts
    for words in (("status", "--count"), ("metrics",), ("shifts",), ("count",), ("why", number), ("similar", number),
                  ("similar", number, "--n", 2, "--mosaic", "m[1]*.png"),
                  ("diff", "--from", 1, "--to", 2, "--out", "d?.csv"),
                  ("select", "--strategy", "typical", "--n", 2, "--out", "s[ab].csv"), ("labels", "export", "l*.csv"),
                  ("sql", "SELECT count(*) FROM predictions"), ("cutouts", "--list", "c[1].csv"),
                  ("report", "r[1].html"), ("track", "--to", "tensorboard", "--dir", "track[1]")):  # fmt: skip
        run(*words)
    before = rows(run.workspace, "SELECT * FROM predictions ORDER BY model, survey, object_id")
    assert "1 model" in run("compact", "--keep", 1)
    assert rows(run.workspace, "SELECT * FROM predictions ORDER BY model, survey, object_id") == before
    assert len(json.loads(run("sql", "SELECT DISTINCT model FROM predictions", "--format", "json"))) == 2
    for target in ("e[1].fits", "e?.csv", "e*.parquet", "e[1].vot", "e[1].hats"):
        run("export", target)
        assert Path(target).exists()
    run("release", "1.0")
    run("release", "1.0", "--verify")
    run("backup", "b [1]*")
    run("check", "--deep")
    cli("restore", "b [1]*", "back [1]*")
    assert CommandLine(tmp_path / "back [1]*", run.recipe)("check", "--deep")
    assert rows(tmp_path / "back [1]*", "SELECT * FROM predictions ORDER BY model, survey, object_id") == before
    run("rollback", "--to", 0)
    assert {path: sha256_file(path) for path in other} == other


@pytest.mark.parametrize(
    "name", ["[1]", "a*b", "a?b", "[!a]", "[a-z]", "{a,b}", "]", "x=1", "it's", "h#a%20", "~", "\\a"]
)
def test_a_parquet_file_of_any_name_is_read_and_no_other(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    workspace = create_workspace(tmp_path / "ws", stamp_size=32)
    for folder, object_id in ((name, 1), ("1", 2), ("aXb", 3), ("b", 4)):
        Path(folder).mkdir()
        table = pa.table({"COADD_OBJECT_ID": [object_id], "RA": [10.0], "DEC": [1.0]})
        pq.write_table(table, tmp_path / folder / f"part {name}.parquet")
    for given in (f"{name}/part {name}.parquet", name):
        assert cli("-w", workspace.path, "ingest", "des", given).code == 0
    assert rows(workspace, "SELECT object_id FROM objects") == [(1,)]


def test_a_glob_is_offered_where_no_file_or_folder_has_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("p[1]", "p1", "q"):
        Path(folder).mkdir()
        for part in ("a", "b"):
            Path(folder, f"{part}.parquet").touch()
    Path("q", "*.parquet").touch()
    named = {given: [str(part) for part in parquet_parts(Path(given))] for given in ("p[1]/*.parquet", "p?/a.parquet")}
    assert named == {
        "p[1]/*.parquet": ["p[1]/a.parquet", "p[1]/b.parquet"],  # the folder of this very name, and not p1
        "p?/a.parquet": ["p1/a.parquet"],
    }
    assert parquet_parts(Path("q/*.parquet")) == [Path("q/*.parquet")]
    assert [str(part) for part in parquet_parts(tmp_path / "*" / "b.parquet")] == [
        str(tmp_path / folder / "b.parquet") for folder in ("p1", "p[1]", "q")
    ]


def test_a_name_that_duckdb_cannot_read_is_refused(tmp_path):
    for name, words in (("back\\slash [1]", "backslash"), ("caf\udce9", "not valid UTF-8")):
        with pytest.raises(InputError, match=words):
            literal_path(tmp_path / name)
    failed(cli("init", tmp_path / "back\\slash"), "backslash")
