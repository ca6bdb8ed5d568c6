"""Run a shell script whose `catbuilder` commands run in the test's own process, which saves them their imports."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import pytest
from support.command_line import on_one_core
from support.workers_here import workers_here
from support.workspaces import cli

# A function goes before the command of its name. `init` stays the command, so that the script must find it.
_FUNCTION = """() {
    [ "$1" != init ] || { command catbuilder "$@"; return; }
    local code
    printf '%s\\0' "$#" "$@" "${CATBUILDER_WORKSPACE-}" >&"$ASK"
    read -r code <&"$ANSWER"
    cat "$SAID/out"; cat "$SAID/err" >&2
    return "$code"
}"""


def run_script(script: Path, *arguments: object, **environment: str) -> None:
    """Run a script of bash to its end; a command of it that fails, or the script, is shown with what it said."""
    (ask_read, ask_write), (answer_read, answer_write) = os.pipe(), os.pipe()
    theirs = {"ASK": str(ask_write), "ANSWER": str(answer_read), "BASH_FUNC_catbuilder%%": _FUNCTION}
    with TemporaryDirectory() as said, open(Path(said) / "log", "w+") as log:
        process = subprocess.Popen(
            ["bash", str(script), *map(str, arguments)],
            env=os.environ | environment | theirs | {"SAID": said},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[ask_write, answer_read],
        )
        os.close(ask_write)
        os.close(answer_read)
        with open(ask_read, "rb") as asked, open(answer_write, "w") as answers:
            for workspace, words in _commands(asked):
                print(_run(Path(said), workspace, words), file=answers, flush=True)
        code = process.wait(timeout=60)
        log.seek(0)
        assert code == 0, log.read()


def _commands(asked: BinaryIO) -> Iterator[tuple[str, list[str]]]:
    """Read the workspace and the words of each command, until the script ends."""
    while count := _word(asked):
        words = [_word(asked) for _ in range(int(count))]
        yield _word(asked), words


def _word(asked: BinaryIO) -> str:
    return b"".join(iter(lambda: asked.read(1).rstrip(b"\0"), b"")).decode()


def _run(said: Path, workspace: str, words: list[str]) -> int:
    """Run a command, a round with one process too, and give its exit code."""
    with pytest.MonkeyPatch.context() as patch, on_one_core(), workers_here():
        patch.setenv("CATBUILDER_WORKSPACE", workspace)
        done = cli(*words)
    (said / "out").write_text(done.out, encoding="utf-8")
    (said / "err").write_text(done.err, encoding="utf-8")
    return done.code
