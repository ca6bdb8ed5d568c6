"""Elsewhere and later: a moved workspace, a machine of other cores, another user, a lock whose process is dead."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import CATBUILDER, CommandLine, assert_same_contents, contents
from faults import needs_root

from catbuilder.machine import usable_cores

pytestmark = pytest.mark.slow
NOBODY = 65534


@pytest.mark.skipif(usable_cores() < 2, reason="one core: there is no other machine to go on at")
def test_a_round_goes_on_after_a_move_and_on_another_number_of_cores_by_its_own_plan(
    catbuilder: CommandLine, first_round: Path, tmp_path: Path
) -> None:
    catbuilder.round(expect=-signal.SIGKILL, CATBUILDER_FAULT="train.before_commit")
    lock = (catbuilder.workspace / "round.lock").read_text()
    elsewhere = catbuilder.on(tmp_path / "moved")
    catbuilder.workspace.rename(elsewhere.workspace)
    # not kept to one core, as the first part was
    process = subprocess.run(
        [CATBUILDER, "-w", elsewhere.workspace, *map(str, elsewhere.round_arguments())],
        env={**os.environ, "CATBUILDER_FAULT": ""}, capture_output=True, text=True,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert "was planned with 1 threads a process, and here there would be" in process.stderr
    assert_same_contents(elsewhere.workspace, contents(first_round))
    assert not list(catbuilder.workspace.parent.glob("ws")), "nothing is written to the old place"
    assert lock.startswith("process "), "the dead process's lock was there, and was in nobody's way"


@needs_root
def test_another_user_reads_what_may_be_read_and_is_refused_in_one_sentence(
    first_round: Path, copy_of: Callable[[Path], Path], tiny_recipe: Path, tmp_path: Path
) -> None:
    catbuilder = CommandLine(copy_of(first_round), tiny_recipe)
    for folder in catbuilder.workspace.parents[:-2]:
        folder.chmod(folder.stat().st_mode | 0o055)

    def as_nobody(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CATBUILDER, "-w", str(catbuilder.workspace), *map(str, arguments)],
            user=NOBODY, group=NOBODY, extra_groups=[], env={**os.environ, "HOME": "/nonexistent"},
            capture_output=True, text=True,
        )  # fmt: skip

    asked = as_nobody("sql", "SELECT count(*) FROM predictions", "--format", "csv")
    if "Permission denied" in asked.stderr and "site-packages" in asked.stderr:
        pytest.skip("this installation may be read by root alone")
    assert asked.returncode == 0 and "276" in asked.stdout, asked.stderr
    refused = as_nobody("rollback", "--to", "0")
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith("Error") and "ermission" in line
