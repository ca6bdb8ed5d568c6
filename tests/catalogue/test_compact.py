"""Scores of old rounds in files beside the catalogue: whatever is asked answers as before."""

import shutil

import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from support.workspaces import ask, cli, failed, surveyed

from catbuilder.catalogue.compact import compact
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.progress import Reporter
from catbuilder.exports.export import export
from catbuilder.inspection.check import check
from catbuilder.inspection.counts import count_objects
from catbuilder.inspection.sandbox import query_table

QUIET = Reporter(quiet=True)
PREDICTED = "SELECT count(*) AS n FROM predictions"


def catalogues(workspace):
    return [ask(workspace, f"SELECT * FROM catalog_at({n}) ORDER BY survey, object_id") for n in (1, 2)]


def faults(workspace):
    """What `check` finds but for the stamps' and models' files, which these surveys lack."""
    return [
        fault for finding in check(workspace) if finding.check not in ("stamps", "models") for fault in finding.faults
    ]


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """Two closed rounds with both rounds' scores in the catalogue; read only."""
    return surveyed(tmp_path_factory.mktemp("compact") / "ws")


@pytest.fixture(scope="module")
def compacted(before, tmp_path_factory):
    """The same with the scores of round 1 in a file; read only."""
    workspace = Workspace.open(shutil.copytree(before.path, tmp_path_factory.mktemp("compacted") / "ws"))
    report = compact(workspace, keep=1, reporter=QUIET)
    assert (report.models, report.scores) == ((1,), 10)
    return workspace


def test_the_scores_have_left_the_catalogue_for_a_file_with_its_hash_on_record(compacted):
    assert ask(compacted, "SELECT DISTINCT model FROM posteriors") == [(2,)]
    ((file, scored),) = ask(compacted, "SELECT file, scored FROM archives")
    assert pq.read_metadata(compacted.path / file).num_rows == scored == 10


def test_every_round_reads_as_before(before, compacted):
    assert catalogues(compacted) == catalogues(before)
    assert faults(compacted) == faults(before)


@pytest.mark.parametrize("where", [None, "predicted_label = 'spiral'"])
def test_an_export_as_of_an_old_round_reads_the_scores_from_the_file(before, compacted, tmp_path, where):
    for workspace, name in ((before, "before"), (compacted, "after")):
        export(workspace, tmp_path / f"{name}.fits", at=1, where=where)
        export(workspace, tmp_path / f"{name}.parquet", at=1, where=where)
    assert pq.read_table(tmp_path / "after.parquet").equals(pq.read_table(tmp_path / "before.parquet"))
    old, new = (Table.read(tmp_path / f"{name}.fits", hdu="CATALOG") for name in ("before", "after"))
    assert len(new) == len(old) > 0 and set(new["model"].compressed().tolist()) == {1}
    assert (new["predicted_label"] == old["predicted_label"]).all()


def test_a_condition_reaches_no_other_file_though_the_archived_scores_are_read(compacted, tmp_path):
    where = f"object_id IN (SELECT object_id FROM read_parquet('{tmp_path}/other.parquet'))"
    shutil.copy(next((compacted.path / "scores").glob("*.parquet")), tmp_path / "other.parquet")
    failed(cli("-w", compacted.path, "export", tmp_path / "out.fits", "--at", 1, "--where", where), "--where")


def test_the_sandbox_reads_the_archived_scores_too(before, compacted):
    assert query_table(compacted, PREDICTED).to_pylist() == query_table(before, PREDICTED).to_pylist() == [{"n": 20}]


def test_another_compact_has_nothing_to_do(compacted):
    log = compacted.log_file.read_bytes()
    report = compact(compacted, keep=1, reporter=QUIET)
    assert (report.models, report.scores, report.bytes) == ((), 0, 0) and compacted.log_file.read_bytes() == log


def test_a_workspace_that_was_moved_still_reads(before, compacted, tmp_path, monkeypatch):
    moved = Workspace.open(shutil.copytree(compacted.path, tmp_path / "it's [here], too"))
    monkeypatch.chdir(tmp_path)
    assert catalogues(moved) == catalogues(before)
    assert query_table(moved, PREDICTED).to_pylist() == [{"n": 20}]


def test_the_scores_of_a_workspace_are_its_own_wherever_the_command_is_given(before, compacted, tmp_path, monkeypatch):
    other = shutil.copytree(compacted.path, tmp_path / "other")
    for file in (other / "scores").glob("*.parquet"):
        pq.write_table(pq.read_table(file).slice(0, 0), file)
    monkeypatch.chdir(other)
    assert catalogues(compacted) == catalogues(before)


def test_an_archived_file_that_is_gone_is_said_to_be(compacted, tmp_path):
    workspace = Workspace.open(shutil.copytree(compacted.path, tmp_path / "ws"))
    shutil.rmtree(workspace.path / "scores")
    failed(cli("-w", workspace.path, "export", tmp_path / "out.fits", "--at", 1), "model-00001-01.parquet")
    assert not (tmp_path / "out.fits").exists()


def test_a_large_catalogue_is_checked_and_counted_with_its_archives(before, compacted, monkeypatch):
    monkeypatch.setattr("catbuilder.catalogue.id_ranges.RANGE_OBJECTS", 1)
    assert faults(compacted) == faults(before)
    assert {"model": 1, "objects": 10} in count_objects(compacted, ["model"], at=1).to_pylist()
