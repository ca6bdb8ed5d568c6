"""Each error class is raised by a real input, and says in one sentence what is wrong and what to do.

A class without an example here fails the walk: add `@raises(errors.NewClass)` to a function that gives the input.
"""

import inspect
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from support.new_workspace import create_workspace
from support.ray_settings import ray_settings
from support.workspaces import SIZE, add_events, add_objects, cli, label_event, surveyed, write_csv, write_images

from catbuilder.active_learning.review import record_answer, start_question_list, undo_answer
from catbuilder.catalogue.label_events import EVENTS, record_events
from catbuilder.core import errors
from catbuilder.core.cluster import connected
from catbuilder.core.recipe import Certificate, Promotion, load_recipe
from catbuilder.decisions.calibration_set import require_calibration
from catbuilder.rounds.launch.cluster import run_together
from catbuilder.rounds.launch.processes import Worker, run_all
from catbuilder.sets.manifest import write_score_manifest

Example = Callable[[Path], object]
EXAMPLES: dict[type[errors.CatbuilderError], list[Example]] = {}


def raises(kind: type[errors.CatbuilderError]) -> Callable[[Example], Example]:
    """This function gives an input that is refused by an error of this very class."""

    def register(example: Example) -> Example:
        EXAMPLES.setdefault(kind, []).append(example)
        return example

    return register


def command(*arguments: object) -> None:
    """The command line as a person sees it, and then the error itself, which --debug lets through."""
    done = cli(*arguments)
    told = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    assert done.code == 1 and done.err.splitlines()[-1:] == told, done.err
    cli("--debug", *arguments)


def test_every_class_has_an_example():
    classes = {
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.CatbuilderError) and kind is not errors.CatbuilderError
    }
    assert classes == set(EXAMPLES), f"without an example: {classes - set(EXAMPLES)}"


@raises(errors.WorkspaceError)
def no_workspace(folder: Path) -> None:
    command("-w", folder / "nowhere", "status")


@raises(errors.WorkspaceError)
def a_shard_that_lost_its_end(folder: Path) -> None:
    workspace = create_workspace(folder / "ws", stamp_size=SIZE)
    write_images(folder / "images", ("1.png",))
    table = write_csv(folder / "t.csv", ("object_id", "file"), (1, "1.png"))
    assert (
        cli("-w", workspace.path, "ingest", "images", folder / "images", "--table", table, "--survey", "des").code == 0
    )
    (shard,) = (workspace.path / "stamps").rglob("*.npy")
    shard.write_bytes(shard.read_bytes()[:300])
    command("-w", workspace.path, "ingest", "images", folder / "images", "--table", table, "--survey", "des")


@raises(errors.WorkspaceBusy)
def a_round_is_under_way(folder: Path) -> None:
    workspace = create_workspace(folder / "ws")
    with workspace.round_lock():
        command("-w", workspace.path, "round", "--recipe", "demo")


@raises(errors.ConfigError)
def a_misspelt_key(folder: Path) -> None:
    workspace = create_workspace(folder / "ws")
    with open(workspace.path / "catbuilder.toml", "a") as file:
        file.write("\n[limits]\nmax_colums = 3\n")
    command("-w", workspace.path, "status")


@raises(errors.SchemaError)
def no_catalogue(folder: Path) -> None:
    workspace = create_workspace(folder / "ws")
    workspace.catalog_file.write_bytes(b"SQLite format 3\0" * 300)
    command("-w", workspace.path, "status")


@raises(errors.CatalogueDamaged)
def a_catalogue_older_than_its_log(folder: Path) -> None:
    workspace = create_workspace(folder / "ws")
    with workspace.recording("x"):
        pass
    workspace.log_file.write_text(json.dumps({"run": 9, "events": 9}) + "\n")
    command("-w", workspace.path, "status")


@raises(errors.InputError)
def a_table_without_ids(folder: Path) -> None:
    workspace = create_workspace(folder / "ws")
    table = write_csv(folder / "t.csv", ("id", "label"), (1, "spiral"))
    command("-w", workspace.path, "labels", "import", table)


@raises(errors.InputError)
def a_missing_column_of_a_survey(folder: Path) -> None:
    workspace = create_workspace(folder / "ws")
    table = write_csv(folder / "t.csv", ("OBJID", "RA"), (1, 2))
    command("-w", workspace.path, "ingest", "gz1", table)


@raises(errors.FirewallError)
def a_promoted_test_object(folder: Path) -> None:
    workspace = surveyed(folder / "ws")
    promoted = {"source": "promoted", "confidence": 0.99, "model": 1}
    event = label_event("des", 9, "elliptical", **promoted)
    with workspace.recording("x") as recording:
        record_events(recording, pa.Table.from_pylist([event], schema=EVENTS))


@raises(errors.NothingToTrain)
def a_round_without_labels(folder: Path) -> None:
    workspace = create_workspace(folder / "ws")
    command("-w", workspace.path, "round", "--recipe", "demo")


@raises(errors.NothingToScore)
def a_catalogue_without_stamps(folder: Path) -> None:
    workspace = create_workspace(folder / "ws")
    with workspace.reading() as con:
        write_score_manifest(con, load_recipe("demo"), folder / "manifest.parquet")


@raises(errors.NothingToCertify)
def a_promise_without_calibration(folder: Path) -> None:
    workspace = create_workspace(folder / "ws")
    recipe = load_recipe("demo").model_copy(
        update={"promotion": Promotion(policy="certified"), "certificate": Certificate()}
    )
    with workspace.reading() as con:
        require_calibration(con, recipe, workspace.config.classes)


@raises(errors.NothingToAsk)
def a_doubt_before_the_first_round(folder: Path) -> None:
    workspace = create_workspace(folder / "ws")
    command("-w", workspace.path, "select", "--strategy", "margin")


@raises(errors.WeightsError)
def weights_that_are_no_weights(folder: Path) -> None:
    from catbuilder.network.checkpoint import load_model

    file = folder / "weights.safetensors"
    file.write_bytes(b"\x80\x04 a pickle")
    load_model(file)


@raises(errors.LaunchError)
def several_processes_without_horovod(folder: Path) -> None:
    workspace = create_workspace(folder / "ws", stamp_size=SIZE)
    with workspace.recording("labels") as recording:
        add_objects(recording, "sdss", range(1, 41), split="train", ra=[9.0 * n for n in range(40)], dec=[1.0] * 40)
        add_events(recording, *(label_event("sdss", n, ("elliptical", "spiral")[n % 2]) for n in range(1, 41)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "horovod", None)  # as where it was never built: it cannot be imported
        patch.setitem(sys.modules, "horovod.torch", None)
        command("-w", workspace.path, "round", "--recipe", "demo", "--np", "2")


@raises(errors.WorkerDied)
def a_worker_without_its_job(folder: Path) -> None:
    # A process of Python's own, which ends badly as ours would and imports nothing
    run_all([Worker("json.tool", folder / "none.json", folder / "worker.log", {})], lambda: None)


@raises(errors.HostLost)
def a_node_where_our_process_is_killed(folder: Path) -> None:
    (folder / "deadly.py").write_text("import os, time\nos.kill(os.getppid(), 9)\ntime.sleep(60)\n")
    with ray_settings(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        with connected("local") as cluster:
            assert cluster
            worker = Worker("deadly", folder / "none.job", folder / "worker.log", {})
            run_together(cluster, [worker], 1, lambda: None)


@raises(errors.QueryError)
def a_query_that_writes(folder: Path) -> None:
    workspace = create_workspace(folder / "ws")
    command("-w", workspace.path, "sql", "DELETE FROM labels")


@raises(errors.ServeError)
def a_port_that_is_taken(folder: Path) -> None:
    workspace = create_workspace(folder / "ws")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command("-w", workspace.path, "serve", "--no-browser", "--port", taken.getsockname()[1])


@raises(errors.ObjectNotFound)
def an_unknown_object(folder: Path) -> None:
    workspace = create_workspace(folder / "ws")
    command("-w", workspace.path, "why", 5)


@raises(errors.OtherAnswer)
def an_undo_of_an_answer_that_is_not_the_last(folder: Path) -> None:
    workspace = create_workspace(folder / "ws")
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", [1, 2])
    name = start_question_list(workspace, "random", 2)
    record_answer(workspace, name, "vera", "des", 1, "spiral")
    undo_answer(workspace, name, "vera", ("des", 2))


@raises(errors.RoundError)
def a_round_that_never_was(folder: Path) -> None:
    workspace = create_workspace(folder / "ws")
    command("-w", workspace.path, "rollback", "--to", 7)


@raises(errors.ReleaseError)
def a_release_that_never_was(folder: Path) -> None:
    workspace = create_workspace(folder / "ws")
    command("-w", workspace.path, "release", "1.0", "--verify")


@pytest.mark.parametrize(
    ("kind", "example"),
    [
        pytest.param(kind, example, id=f"{kind.__name__}-{example.__name__}")
        for kind, found in EXAMPLES.items()
        for example in found
    ],
)
def test_a_refusal_is_one_sentence_to_act_on(kind, example, tmp_path):
    with pytest.raises(errors.CatbuilderError) as refused:
        example(tmp_path)
    said = str(refused.value)
    assert type(refused.value) is kind, said
    assert said.isprintable() and "Traceback" not in said and 40 <= len(said) <= 1000, said
    what, _, advice = said.partition("; ")
    assert len(what) >= 15 and len(advice) >= 10, f"it does not say what to do: {said}"


def test_what_a_file_is_called_cannot_command_the_terminal(tmp_path):
    workspace = create_workspace(tmp_path / "ws")
    evil = tmp_path / "\x1b[2Jall is well\r.csv"
    done = cli("-w", workspace.path, "labels", "import", evil)
    assert done.code == 1 and done.error.isprintable() and os.fspath(tmp_path) in done.error
