"""A workspace that was moved, with other cores, another user, or a lock whose process is dead."""

import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support.command_line import CATBUILDER, CommandLine
from support.contents import assert_same_contents, contents
from support.disk_faults import needs_root
from support.forked_processes import run_forked

from catbuilder.core.machine import usable_cores
from catbuilder.core.resources import sql_folder

pytestmark = pytest.mark.slow


@pytest.mark.skipif(usable_cores() < 2, reason="one core: there is no other machine to go on at")
def test_a_round_continues_after_a_move_and_with_other_cores(
    catbuilder: CommandLine, first_round: Path, tmp_path: Path
) -> None:
    catbuilder.round(expect=-signal.SIGKILL, CATBUILDER_FAULT="train.before_commit")
    lock = (catbuilder.workspace / "round.lock").read_text()
    elsewhere = catbuilder.on(tmp_path / "moved")
    catbuilder.workspace.rename(elsewhere.workspace)
    # not kept to one core, as the first part was
    process = run_forked([CATBUILDER, "-w", str(elsewhere.workspace), *map(str, elsewhere.round_arguments())])
    assert process.returncode == 0, process.stderr
    assert "was planned with 1 threads a process, and this machine would give" in process.stderr
    assert_same_contents(elsewhere.workspace, contents(first_round))
    assert not list(catbuilder.workspace.parent.glob("ws")), "nothing is written to the old place"
    assert lock.startswith("process "), "the dead process's lock was there, and was in nobody's way"


# The interpreter itself may be readable by root alone: all is imported before the process becomes another user's.
AS_NOBODY = """
import os, sys
from catbuilder.cli.main import main

def run(*arguments):
    sys.argv = ["catbuilder", "-w", workspace, *arguments]
    try:
        main()
    except SystemExit as end:
        return end.code or 0
    return 0

workspace = sys.argv[1]
run("status"), run("rollback", "--to", "9")
os.setgroups([]), os.setgid(65534), os.setuid(65534)
for stream in (sys.stdout, sys.stderr):
    print("as nobody", file=stream, flush=True)
print(run("status"), run("rollback", "--to", "0"))
"""


@needs_root
def test_another_user_can_read_but_not_write(
    first_round: Path,
) -> None:
    if not all(folder.stat().st_mode & 0o001 for folder in sql_folder().resolve().parents):
        pytest.skip("other users may not read this installation")
    # pytest keeps its own folders from other users
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        workspace = Path(shutil.copytree(first_round, Path(folder) / "ws"))
        done = subprocess.run([sys.executable, "-c", AS_NOBODY, workspace], capture_output=True, text=True)
        assert not (workspace / "rounds" / "run.json").exists()
    out, err = (said.partition("as nobody\n")[2] for said in (done.stdout, done.stderr))
    assert "calibration" in out and out.splitlines()[-1] == "0 1", done
    (line,) = err.splitlines()
    assert line.startswith("Error") and "ermission" in line
