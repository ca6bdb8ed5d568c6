"""Run the corpus of inputs that went wrong, here or in other tools: each gives the right value or a true sentence.

Each folder beside this file is one situation:

* `make_input.py` writes its input into the current folder; its docstring tells the situation.
* `expected.toml` says what kind of situation it is, which reader or verb it tries and where it was reported, and lists
  the steps: a command and what it says, or a query and its rows.
"""

import csv
import io
import runpy
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cases import CASES, KINDS, case_workspace, read_case
from support.catalogue_reading import reading
from support.forked_processes import forked_queries
from support.workspaces import cli

from catbuilder.catalogue.workspace import Workspace


@pytest.fixture(scope="module", autouse=True)
def _forks() -> Iterator[None]:
    with forked_queries():
        yield


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_input_gives_the_right_value_or_a_true_sentence(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = read_case(case)
    workspace = case_workspace(tmp_path / expected.get("workspace", "w"), objects=expected.get("objects", False))
    runpy.run_path(str(case / "make_input.py"))
    for number, step in enumerate(expected["step"], start=1):
        if "sql" in step:
            assert rows_of(workspace, step["sql"]) == step["rows"], f"step {number}: {step['sql']}"
        else:
            run_step(workspace, number, step)


def run_step(workspace: Workspace, number: int, step: dict[str, Any]) -> None:
    """Run a command in the workspace, and look for what it must and must not say."""
    done = cli("-w", workspace.path.name, *shlex.split(step["run"]))
    said = " ".join((done.out + done.err).split())
    where = f"step {number}: {step['run']}\n{done.out}{done.err}"
    assert done.code == step.get("exit", 0), where
    assert "Traceback" not in said, where
    for words in step.get("says", ()):
        assert words in said, f"it does not say: {words}\n{where}"
    for words in step.get("never_says", ()):
        assert words not in said, f"it says: {words}\n{where}"


def rows_of(workspace: Workspace, sql: str) -> list[str]:
    """Give the rows of a query as lines of CSV; NULL is an empty cell."""
    with reading(workspace) as con:
        rows = con.execute(sql).fetchall()
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().splitlines()


def test_every_case_is_described() -> None:
    for case in CASES:
        expected = tomllib.loads((case / "expected.toml").read_text(encoding="utf-8"))
        assert expected["kind"] in KINDS, case.name
        assert expected["reader"] and expected["source"] and expected["step"], case.name
        assert (case / "make_input.py").read_text(encoding="utf-8").startswith('"""'), case.name
