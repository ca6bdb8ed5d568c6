"""Full and read-only disks, truncated files and flipped bits are reported at the next use, and repaired or refused."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support.command_line import CommandLine, wait_for
from support.contents import assert_same_contents, contents, rows
from support.disk_faults import SmallDisk, cut_off, flip_a_bit, needs_root, small_disk, stopped
from support.new_workspace import create_workspace
from support.small_survey import POOL, Source, bring_in, draw, write_csv
from support.workspaces import make_older

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import CatalogueDamaged, CatbuilderError, SchemaError
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import load_recipe
from catbuilder.inspection.check import check
from catbuilder.rounds.run import run_rounds

pytestmark = pytest.mark.slow


def found(workspace: Path) -> set[str]:
    """What `check --deep` finds fault with."""
    return {finding.check for finding in check(Workspace.open(workspace), deep=True) if finding.count}


def the_error(said: str) -> str:
    """The one sentence that a command ended with."""
    errors = [line for line in said.splitlines() if line.startswith("Error")]
    assert len(errors) == 1, said
    error = errors[0]
    assert said.endswith(error + "\n") and "Traceback" not in said
    return error


# --- a full disk, and one that cannot be written to


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 64) as made:
        yield made


@needs_root
def test_every_step_survives_a_full_disk(
    disk: SmallDisk, small_survey: Path, first_round: Path, copy_of: Callable[[Path], Path], tiny_recipe: Path
) -> None:
    catbuilder = CommandLine(disk.path / "ws", tiny_recipe)
    subprocess.run(["cp", "-r", str(small_survey), str(catbuilder.workspace)], check=True)
    try:
        for point in (
            "001/manifest.parquet.written", "round-1-planned.before_commit", "round-1-planned.logged",
            "001/checkpoint-001.safetensors.durable", "round-1-trained.before_commit", "001/hashes-00000.json.begun",
            "round-1-scored.before_commit", "round-1-decided.before_commit", "round-1-evaluated.before_commit",
            "round-1-closed.before_commit",
        ):  # fmt: skip
            fill_up_at(point, catbuilder, disk)
        catbuilder.round()
        assert_same_contents(catbuilder.workspace, contents(first_round))
        assert not found(catbuilder.workspace)
    finally:
        catbuilder.stop()


def fill_up_at(point: str, catbuilder: CommandLine, disk: SmallDisk) -> None:
    """Stop the command at a point, leave no byte on the disk, and let it go on; then make room again."""
    process = catbuilder.start_round(CATBUILDER_FAULT=f"{point}:hold")
    held = wait_for(lambda: held_process(catbuilder, process), 300, 0.1)
    disk.fill()
    held.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=300)
    disk.make_room()
    assert process.returncode == 1, (point, out, err)
    error = the_error(err)
    assert "space" in error or "its log" in error, (point, error)
    wait_for(lambda: not catbuilder.processes(), 60, 0.1)
    with Workspace.open(catbuilder.workspace).reading():
        pass


def held_process(catbuilder: CommandLine, command: subprocess.Popen[str]) -> psutil.Process | None:
    """The coordinator or the worker that stands at a fault point."""
    assert command.poll() is None, command.communicate()
    return next((process for process in catbuilder.processes() if stopped(process.pid)), None)


@needs_root
def test_a_workspace_that_cannot_be_written_to_is_read_and_refused(
    disk: SmallDisk, first_round: Path, tiny_recipe: Path, tmp_path: Path
) -> None:
    catbuilder = CommandLine(disk.path / "ws", tiny_recipe)
    subprocess.run(["cp", "-r", str(first_round), str(catbuilder.workspace)], check=True)
    table = write_csv(tmp_path / "mine.csv", [{"object_id": POOL, "label": "spiral"}])
    disk.remount("ro")
    try:
        assert "276" in catbuilder("sql", "SELECT count(*) FROM predictions")
        catbuilder("check")
        for command in (catbuilder.round_arguments(), ("labels", "import", table, "--survey", "des")):
            error = the_error(catbuilder(*command, expect=1))
            assert "ead-only" in error or "permission" in error, error
    finally:
        disk.remount("rw")


# --- files of a round


def test_each_damaged_file_of_a_round_is_reported_and_made_again(catbuilder: CommandLine, first_round: Path) -> None:
    """One round, killed after each of its steps; then what the step has left is damaged, and the round goes on."""
    folder = catbuilder.workspace / "rounds" / "001"

    def goes_on_to(fault: str, *words: str, expect: int = -signal.SIGKILL) -> None:
        said = catbuilder.round(expect=expect, CATBUILDER_FAULT=fault)
        assert all(word in said for word in words), (fault, said)
        assert found(catbuilder.workspace) == set(), fault

    goes_on_to("round-1-planned.logged")
    flip_a_bit(folder / "manifest.parquet")
    cut_off(folder / "score-manifest.parquet")
    assert found(catbuilder.workspace) == {"rounds"}

    again = "score-manifest.parquet was missing or damaged (the damaged file is kept as score-manifest.parquet.dam"
    goes_on_to("001/model.safetensors.written", "/manifest.parquet was missing or damaged", again, expect=1)
    flip_a_bit(folder / "attempts/train-01/checkpoint-002.safetensors")
    assert found(catbuilder.workspace) == {"rounds"}

    goes_on_to("train.after_member", "checkpoint-002.safetensors is damaged", "continues after checkpoint of epoch 001")
    flip_a_bit(folder / "model.safetensors")  # not recorded yet
    said = catbuilder.round(expect=-signal.SIGKILL, CATBUILDER_FAULT="train.after_commit")
    assert "model.safetensors is damaged (it is kept as model.safetensors.damaged-1)" in said
    assert found(catbuilder.workspace) == set()
    cut_off(folder / "model.safetensors")  # recorded
    assert found(catbuilder.workspace) == {"models"}

    goes_on_to("score.before_commit", "model.safetensors is missing or damaged", "training it again")
    flip_a_bit(folder / "scores" / "scores-00000.parquet")
    assert found(catbuilder.workspace) == {"rounds"}

    goes_on_to("decide.before_commit", "scores-00000.parquet is missing or damaged; scoring its objects again")
    (folder / "scores" / "features-00000.parquet").unlink()
    assert found(catbuilder.workspace) == {"rounds"}

    said = catbuilder.round()
    assert "features-00000.parquet is missing or damaged; scoring its objects again" in said
    assert_same_contents(catbuilder.workspace, contents(first_round))
    assert found(catbuilder.workspace) == set()


def test_a_damaged_model_of_a_closed_round_does_not_score(
    first_round: Path, copy_of: Callable[[Path], Path], tiny_recipe: Path, tmp_path: Path
) -> None:
    catbuilder = CommandLine(copy_of(first_round), tiny_recipe)
    late = [(Source(POOL + 900, 10.0, 70.0), draw("spiral", 8000))]
    bring_in(Workspace.open(catbuilder.workspace), tmp_path / "late", "des", late)
    flip_a_bit(catbuilder.workspace / "rounds/001/model.safetensors")
    error = the_error(catbuilder("score", expect=1))
    assert "model.safetensors is missing or not the model that was recorded; put it back from a backup" in error
    assert "models: rounds/001/model.safetensors" in catbuilder("check", expect=1)


@pytest.mark.parametrize("damage", [flip_a_bit, cut_off, Path.unlink])
def test_nothing_is_trained_on_a_damaged_stamp_shard(
    workspace: Workspace, tiny_recipe: Path, damage: Callable[[Path], None]
) -> None:
    shard = sorted(workspace.path.glob("stamps/*/*.npy"))[0]
    whole = shard.read_bytes()
    damage(shard)
    with pytest.raises(CatalogueDamaged, match=f"{shard} is missing or not the file that was recorded.*from a backup"):
        run_rounds(workspace, 1, load_recipe(tiny_recipe), reporter=Reporter(quiet=True))
    assert rows(workspace, "SELECT count(*) FROM rounds") == [(0,)]
    assert found(workspace.path) == {"stamps"}
    shard.write_bytes(whole)
    assert found(workspace.path) == set()


def test_commands_report_a_damaged_stamp_shard(catbuilder: CommandLine) -> None:
    shard = sorted(catbuilder.workspace.glob("stamps/*/*.npy"))[0]
    cut_off(shard)
    assert "is missing or not the file that was recorded" in the_error(catbuilder.round(expect=1))
    assert str(shard.relative_to(catbuilder.workspace)) in catbuilder("check", "--deep", expect=1)


# --- the catalogue


@pytest.mark.parametrize("at", [0.0001, 0.3, 0.6, 0.99])
def test_a_flipped_bit_in_the_catalogue_is_reported(
    first_round: Path, copy_of: Callable[[Path], Path], at: float
) -> None:
    workspace = Workspace.open(copy_of(first_round))
    flip_a_bit(workspace.catalog_file, at)
    with pytest.raises(CatalogueDamaged, match=r"catalog.duckdb is damaged \(.*; put it back .* catbuilder restore"):
        check(workspace, deep=True)


@pytest.mark.parametrize("part", [0.0, 0.00001, 0.5, 0.95])
def test_a_truncated_catalogue_is_reported(first_round: Path, copy_of: Callable[[Path], Path], part: float) -> None:
    workspace = Workspace.open(copy_of(first_round))
    cut_off(workspace.catalog_file, part)
    with pytest.raises((CatalogueDamaged, SchemaError), match=r"catalog.duckdb .*put it back .* catbuilder restore"):
        check(workspace, deep=True)


@pytest.fixture
def with_log(catbuilder: CommandLine, tmp_path: Path) -> CommandLine:
    """A workspace whose last recording was killed between its commit and its checkpoint: the log holds it."""
    table = write_csv(tmp_path / "mine.csv", [{"object_id": POOL, "label": "spiral"}])
    command = ("labels", "import", table, "--survey", "des", "--source", "human")
    catbuilder(*command, expect=-signal.SIGKILL, CATBUILDER_FAULT="labels-import-mine-csv.committed")
    assert wal(catbuilder).stat().st_size > 100
    return catbuilder


def wal(catbuilder: CommandLine) -> Path:
    return catbuilder.workspace / "catalog.duckdb.wal"


def labels(catbuilder: CommandLine) -> int:
    return int(rows(catbuilder.workspace, "SELECT count(*) FROM labels WHERE source = 'human'")[0][0])


def test_an_undamaged_write_ahead_log_is_applied(with_log: CommandLine) -> None:
    assert labels(with_log) == 1 and not found(with_log.workspace)
    with Workspace.open(with_log.workspace).recording("next"):
        pass
    assert labels(with_log) == 1 and not list(with_log.workspace.glob("*damaged*")) and not wal(with_log).exists()


def test_a_truncated_write_ahead_log_is_kept_and_the_step_is_repeated(with_log: CommandLine, tmp_path: Path) -> None:
    cut_off(wal(with_log), 0.9)
    left = wal(with_log).read_bytes()
    assert labels(with_log) == 0, "DuckDB takes it without a word"
    assert found(with_log.workspace) == {"recordings"}
    said = with_log("labels", "import", tmp_path / "mine.csv", "--survey", "des", "--source", "human")
    assert "1 label recorded" in said and "catalog.duckdb.wal.damaged-1" in said and "it is cut off" in said
    assert (with_log.workspace / "catalog.duckdb.wal.damaged-1").read_bytes() == left
    assert labels(with_log) == 1 and not found(with_log.workspace)


def test_a_write_ahead_log_with_a_wrong_checksum_is_kept_aside(with_log: CommandLine) -> None:
    flip_a_bit(wal(with_log), 0.999)
    left = wal(with_log).read_bytes()
    said = with_log("status")
    assert "the write-ahead log of the catalogue is damaged" in said and "catalog.duckdb.wal.damaged-1" in said
    assert (with_log.workspace / "catalog.duckdb.wal.damaged-1").read_bytes() == left
    assert labels(with_log) == 0 and not found(with_log.workspace)


def test_lost_recordings_are_detected_by_the_log(with_log: CommandLine) -> None:
    """The order of commit, checkpoint and log line forbids it; a disk that lies about what it has written does not."""
    run = rows(with_log.workspace, "SELECT max(run) FROM runs")[0][0]
    with open(with_log.workspace / "log.jsonl", "a") as log:
        log.write(json.dumps({"run": run, "events": 101}) + "\n")
    cut_off(wal(with_log), 0.3)
    left = wal(with_log).read_bytes()
    error = the_error(with_log("status", expect=1))
    assert "something recorded was lost" in error and "catbuilder restore" in error
    with pytest.raises(CatalogueDamaged), Workspace.open(with_log.workspace).recording("x"):
        pass
    kept = [path.read_bytes() for path in with_log.workspace.glob("catalog.duckdb.wal*")]
    assert left in kept, "it is still there for whoever can read more of it"


@needs_root
def test_a_catalogue_is_not_upgraded_where_there_is_no_room_for_a_copy(disk: SmallDisk) -> None:
    workspace = create_workspace(disk.path / "ws")
    make_older(workspace)
    before = workspace.catalog_file.read_bytes()
    disk.fill()
    with pytest.raises(CatbuilderError, match="space"), workspace.reading():
        pass
    assert workspace.catalog_file.read_bytes() == before
    disk.make_room()
    with workspace.reading():
        assert (workspace.path / "catalog.duckdb.before-0002").read_bytes() == before
