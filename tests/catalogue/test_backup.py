"""Backups are of one recording and whole; what is restored is checked; nothing good is written over."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.command_line import CommandLine, wait_for
from support.contents import assert_same_contents, contents, rows
from support.disk_faults import cut_off, flip_a_bit, stopped
from support.new_workspace import create_workspace

from catbuilder.catalogue.backup import backup, restore
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import CatalogueDamaged, InputError, WorkspaceBusy, WorkspaceError
from catbuilder.core.files import exclusive_lock
from catbuilder.inspection.check import check

pytestmark = pytest.mark.slow


@pytest.fixture
def workspace(first_round: Path, copy_of: Callable[[Path], Path]) -> Workspace:
    """A copy of the survey after one round."""
    return Workspace.open(copy_of(first_round))


def faults(place: Path) -> list[str]:
    return [fault for finding in check(Workspace.open(place), deep=True) for fault in finding.faults]


def test_a_backup_while_a_round_trains_is_restored_elsewhere_and_goes_on_to_the_same_catalogue(
    small_survey: Path, copy_of: Callable[[Path], Path], tiny_recipe: Path, first_round: Path, tmp_path: Path
) -> None:
    catbuilder = CommandLine(copy_of(small_survey), tiny_recipe)
    try:
        process = catbuilder.start_round(CATBUILDER_FAULT="001/checkpoint-001.safetensors.durable:hold")
        wait_for(
            lambda: any(stopped(worker.pid) for worker in catbuilder.processes("catbuilder.network.train")), 300, 0.1
        )
        assert "Backed up" in catbuilder("backup", tmp_path / "backup")
        assert process.poll() is None, "the round did not notice"
    finally:
        catbuilder.stop()
    said = catbuilder("restore", tmp_path / "backup", tmp_path / "ws")
    assert f"{tmp_path / 'ws'} is as it was at recording" in said
    assert faults(tmp_path / "ws") == []
    restored = catbuilder.on(tmp_path / "ws")
    assert "continuing by its own plan" in restored.round()
    assert_same_contents(restored.workspace, contents(first_round))


def test_what_is_there_already_is_not_copied_again(workspace: Workspace, tmp_path: Path) -> None:
    dest, stamps = tmp_path / "backup", len(list(workspace.path.glob("stamps/*/*.npy")))
    first = backup(workspace, dest)
    assert first.unchanged == 0 and first.copied > stamps and first.damaged == ()
    with workspace.recording("something new"):
        pass
    again = backup(workspace, dest)
    assert again.recording == first.recording + 1
    assert again.copied == 3 and again.unchanged == first.copied - 3, "settings, log and catalogue alone"
    assert len(list(dest.glob("catalogue-*"))) == 1


def test_a_backup_that_is_killed_leaves_the_one_before(workspace: Workspace, tiny_recipe: Path, tmp_path: Path) -> None:
    dest = tmp_path / "backup"
    recording = backup(workspace, dest).recording
    with workspace.recording("something new"):
        pass
    catbuilder = CommandLine(workspace.path, tiny_recipe)
    for point in ("catalog.duckdb.renamed", "backup.json.synced"):
        catbuilder("backup", dest, expect=-signal.SIGKILL, CATBUILDER_FAULT=point)
        (said,) = restore(dest, tmp_path / point)
        assert f"recording {recording}," in said
    assert backup(workspace, dest).recording == recording + 1


def test_a_restore_that_is_killed_is_done_again_and_loses_nothing(
    workspace: Workspace, tiny_recipe: Path, tmp_path: Path
) -> None:
    expected, catbuilder = contents(workspace), CommandLine(workspace.path, tiny_recipe)
    backup(workspace, tmp_path / "backup")
    cut_off(workspace.catalog_file)
    damaged = workspace.catalog_file.read_bytes()
    for point in ("log.jsonl.durable", "ws.damaged-1.renamed", "ws.renamed"):
        catbuilder("restore", tmp_path / "backup", workspace.path, expect=-signal.SIGKILL, CATBUILDER_FAULT=point)
        kept = workspace.path.with_name("ws.damaged-1")
        assert ((kept if kept.exists() else workspace.path) / "catalog.duckdb").read_bytes() == damaged, point
    assert "is a workspace without damage" in catbuilder("restore", tmp_path / "backup", workspace.path, expect=1)
    assert_same_contents(workspace, expected)


def test_a_damaged_workspace_is_kept_aside_and_a_whole_one_is_not_written_over(
    workspace: Workspace, tmp_path: Path
) -> None:
    backup(workspace, tmp_path / "backup")
    with pytest.raises(WorkspaceError, match="is a workspace without damage"):
        restore(tmp_path / "backup", workspace.path)
    expected = contents(workspace)
    flip_a_bit(workspace.catalog_file, 0.6)
    damaged = workspace.catalog_file.read_bytes()
    aside, restored = restore(tmp_path / "backup", workspace.path)
    assert "was damaged and is kept as" in aside and "is as it was at recording" in restored
    (kept,) = workspace.path.parent.glob("ws.damaged-1")
    assert (kept / "catalog.duckdb").read_bytes() == damaged
    assert_same_contents(workspace, expected)
    assert faults(workspace.path) == []


def test_single_stamps_and_models_are_put_back_into_a_catalogue_that_has_gone_on(
    workspace: Workspace, tmp_path: Path
) -> None:
    backup(workspace, tmp_path / "backup")
    with workspace.recording("something new"):
        pass
    recording = rows(workspace, "SELECT max(run) FROM runs")
    shard, model = sorted(workspace.path.glob("stamps/*/*.npy"))[0], workspace.path / "rounds/001/model.safetensors"
    flip_a_bit(shard)
    model.unlink()
    said = restore(tmp_path / "backup", workspace.path)
    assert said == [
        f"{shard.relative_to(workspace.path)} is put back; the damaged one is kept as {shard.name}.damaged-1.",
        "rounds/001/model.safetensors is put back.",
    ]
    assert faults(workspace.path) == [] and rows(workspace, "SELECT max(run) FROM runs") == recording


def test_damaged_files_are_not_backed_up_and_an_earlier_backup_of_them_is_kept(
    workspace: Workspace, tiny_recipe: Path, tmp_path: Path
) -> None:
    dest, shard = tmp_path / "backup", sorted(workspace.path.glob("stamps/*/*.npy"))[0]
    name, whole = str(shard.relative_to(workspace.path)), shard.read_bytes()
    backup(workspace, dest)
    cut_off(shard)
    said = CommandLine(workspace.path, tiny_recipe)("backup", dest, expect=1)
    assert f"Error: damaged and not copied: {name}" in said
    assert (dest / name).read_bytes() == whole
    restore(dest, tmp_path / "ws")
    assert faults(tmp_path / "ws") == []


def test_a_damaged_backup_restores_nothing(workspace: Workspace, tmp_path: Path) -> None:
    backup(workspace, tmp_path / "backup")
    (shard, *_) = sorted((tmp_path / "backup").glob("stamps/*/*.npy"))
    flip_a_bit(shard)
    with pytest.raises(CatalogueDamaged, match=f"{shard} is missing or not what was backed up; nothing was restored"):
        restore(tmp_path / "backup", tmp_path / "ws")
    assert not list(tmp_path.glob("*ws*"))


@pytest.mark.parametrize(
    "change",
    [
        lambda told: {},
        lambda told: {**told, "files": {}},
        lambda told: {**told, "files": told["files"] | {"../outside": told["files"]["log.jsonl"]}},
        lambda told: {**told, "files": told["files"] | {"/tmp/outside": told["files"]["log.jsonl"]}},
        lambda told: {**told, "catalogue": "../catalogue-0001"},
        lambda told: {**told, "catalogue": "catalogue-one"},
    ],
)
def test_a_backup_that_tells_of_files_elsewhere_is_neither_restored_nor_added_to(
    workspace: Workspace, tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """A restore would write there, and the next backup remove the folder that it names."""
    dest = tmp_path / "backup"
    backup(workspace, dest)
    manifest = dest / "backup.json"
    manifest.write_text(json.dumps(change(json.loads(manifest.read_text()))))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CatalogueDamaged, match=r"backup.json is damaged"):
        restore(dest, tmp_path / "ws")
    with pytest.raises(CatalogueDamaged, match=r"backup.json is damaged"):
        backup(workspace, dest)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_of_something_else_is_not_taken_for_a_damaged_workspace(workspace: Workspace, tmp_path: Path) -> None:
    backup(workspace, tmp_path / "backup")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").touch()
    for place in (tmp_path / "home", tmp_path / "home" / "thesis.tex"):
        with pytest.raises(WorkspaceError, match="holds files that are not a workspace; name an empty"):
            restore(tmp_path / "backup", place)
    assert (tmp_path / "home" / "thesis.tex").exists() and len(list(tmp_path.iterdir())) == 2


def test_a_workspace_behind_a_link_is_restored_where_it_lies(workspace: Workspace, tmp_path: Path) -> None:
    expected, link = contents(workspace), tmp_path / "link"
    backup(workspace, tmp_path / "backup")
    link.symlink_to(workspace.path)
    cut_off(workspace.catalog_file)
    restore(tmp_path / "backup", link)
    assert link.is_symlink() and link.resolve() == workspace.path
    assert_same_contents(workspace, expected)


def test_two_backups_to_one_place_do_not_mix(workspace: Workspace, tmp_path: Path) -> None:
    """The second would have removed what the first had copied, and the first have written the hashes of that."""
    lock = tmp_path / "backup" / ".lock"
    lock.parent.mkdir()
    with exclusive_lock(lock, "test"), pytest.raises(WorkspaceBusy, match=r"a backup to .* is under way"):
        backup(workspace, tmp_path / "backup")
    assert backup(workspace, tmp_path / "backup").damaged == ()


def test_a_backup_goes_to_a_folder_of_its_own(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is inside the workspace"):
        backup(workspace, workspace.path / "backup")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(InputError, match="holds files that are not a backup"):
        backup(workspace, tmp_path / "other")
    with pytest.raises(InputError, match="is a file; give the name of a folder"):
        backup(workspace, tmp_path / "other" / "thesis.tex")
    with pytest.raises(InputError, match=r"is not a backup: it has no backup.json"):
        restore(tmp_path / "other", tmp_path / "ws")
    backup(workspace, tmp_path / "backup")
    second = create_workspace(tmp_path / "second")
    with pytest.raises(InputError, match=f"is the backup of {workspace.path}"):
        backup(second, tmp_path / "backup")
    assert json.loads((tmp_path / "backup" / "backup.json").read_text())["workspace"] == str(workspace.path)
