"""Many processes use one workspace: one writer at a time, others wait with a message and never see half a step."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.command_line import CommandLine, wait_for
from support.contents import contents, rows
from support.forked_processes import ForkedProcess
from support.small_survey import N_POOL, POOL, write_csv

pytestmark = pytest.mark.slow

KEEP_OPEN = "import duckdb, sys; con = duckdb.connect(sys.argv[1], read_only=True); print('open', flush=True); input()"


def test_queries_during_a_round_see_whole_steps_and_do_not_block_it(
    catbuilder: CommandLine, first_round: Path, tmp_path: Path
) -> None:
    stop = tmp_path / "stop"
    readers = [
        ForkedProcess(
            [sys.executable, "-m", "support.whole_steps", str(catbuilder.workspace), str(stop)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        process = catbuilder.start_round()
        wait_for(lambda: catbuilder.processes("catbuilder.network.train"), 300, 0.1)
        held = catbuilder.processes("catbuilder.network.train")
        for worker in held:  # until all else has been done beside the training
            worker.suspend()
        refusal = catbuilder.round(expect=1)
        assert f"a round is under way in {catbuilder.workspace} (process {process.pid} on" in refusal

        mine = [{"object_id": POOL + i, "label": "spiral", "annotator": "me"} for i in (N_POOL - 1, N_POOL - 2)]
        tables = [write_csv(tmp_path / f"mine-{i}.csv", [row]) for i, row in enumerate(mine)]
        beside = [catbuilder.start("labels", "import", table, "--source", "human") for table in tables]
        beside += [catbuilder.start("labels", "export", tmp_path / "all.csv"), catbuilder.start("sql", "FROM metrics")]
        for command in beside:
            out, err = command.communicate(timeout=120)
            assert command.returncode == 0, out + err

        keeper = subprocess.Popen(
            [sys.executable, "-c", KEEP_OPEN, str(catbuilder.workspace / "catalog.duckdb")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert keeper.stdout is not None and keeper.stdout.readline() == "open\n"
        for worker in held:
            worker.resume()
        assert process.stderr is not None
        said = next((line for line in process.stderr if line.startswith("waiting for")), "it ended without a word")
        assert said.startswith(f"waiting for process {keeper.pid} ("), said
        assert rows(catbuilder.workspace, "SELECT count(*) FROM models") == [(0,)], "the step waits, queries go on"
        keeper.communicate("done\n")
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, out + err
    finally:
        stop.touch()
        told = [reader.communicate(timeout=120) for reader in readers]
    assert [err for _, err in told if err and not err.startswith("waiting for ")] == []
    counts, seen = zip(*(json.loads(out) for out, _ in told), strict=True)
    assert [half for halves in seen for half in halves] == []
    assert min(counts) > 10, counts
    table = (tmp_path / "all.csv").read_text()
    assert table.startswith("object_id") or "object_id" in table.splitlines()[0]
    expected = contents(first_round)
    assert rows(catbuilder.workspace, "SELECT count(*) FROM labels WHERE annotator = 'me'") == [(2,)]
    found = contents(catbuilder.workspace)
    for name in ("predictions", "metrics", "training", "models"):
        assert found[name] == expected[name], name
    catbuilder("check")
