"""Rounds in TensorBoard and MLflow, read back by the packages themselves."""

import shutil
import warnings

import pytest
from support.new_workspace import create_workspace
from support.workspaces import ask, cli, failed

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError
from catbuilder.network.model_card import read_model_card
from catbuilder.reports.tracking import mlflow_address, track


@pytest.fixture(scope="module")
def workspace(second_round, copy_of):
    return Workspace.open(copy_of(second_round))


def accuracies(workspace):
    text = (
        "SELECT round, value FROM metrics WHERE metric = 'accuracy' AND coverage = 1 AND test_set = 'HP' "
        "AND survey = 'des' AND variable IS NULL AND truth = 'debiased' ORDER BY round"
    )
    return ask(workspace, text)


def read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # seconds to import

    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_tensorboard_reads_curves_and_test_metrics(workspace, tmp_path):
    assert track(workspace, "tensorboard", str(tmp_path / "board")) == (str(tmp_path / "board"), 2)
    history = read_model_card(workspace.round_folder(2) / "model.safetensors").history
    losses = read(tmp_path / "board" / "round-002").Scalars("training/loss")
    assert [(one.step, one.value) for one in losses] == [(e.epoch + 1, pytest.approx(e.loss)) for e in history]
    rounds = read(tmp_path / "board" / "rounds")
    found = [(one.step, one.value) for one in rounds.Scalars("HP/des/accuracy")]
    assert found == [(number, pytest.approx(value)) for number, value in accuracies(workspace)]
    assert rounds.Scalars("promoted/spiral")[0].value == 6
    assert rounds.Images("accuracy against coverage")[0].width > 500
    assert (
        b"network.backbone | test_efficientnet"
        in (read(tmp_path / "board" / "round-001").Tensors("recipe/text_summary")[0].tensor_proto.string_val[0])
    )


def test_tracking_again_writes_nothing(workspace, tmp_path):
    board = tmp_path / "board"
    track(workspace, "tensorboard", str(board))
    before = {file: file.stat().st_mtime_ns for file in board.rglob("events.*")}
    assert len(before) == 3
    assert track(workspace, "tensorboard", str(board))[1] == 0
    assert {file: file.stat().st_mtime_ns for file in board.rglob("events.*")} == before


def test_mlflow_reads_each_round_once(workspace, tmp_path):
    import mlflow  # seconds to import

    place = str(tmp_path / "runs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert [track(workspace, "mlflow", place)[1] for _ in range(2)] == [2, 0]
        client = mlflow.MlflowClient(mlflow_address(place))
        (experiment,) = [one for one in client.search_experiments() if one.name.startswith("catbuilder")]
        runs = {run.data.tags["catbuilder.round"]: run for run in client.search_runs([experiment.experiment_id])}
        assert sorted(runs) == ["1", "2"]
        for number, value in accuracies(workspace):
            assert runs[str(number)].data.metrics["HP/des/accuracy"] == pytest.approx(value)
        assert runs["1"].data.params["network.backbone"] == "test_efficientnet"
        steps = client.get_metric_history(runs["2"].info.run_id, "training/loss")
        assert [one.step for one in steps] == [1, 2]
        files = {file.path for file in client.list_artifacts(runs["1"].info.run_id)}
    assert files == {"recipe.json", "accuracy.png"}


def test_another_workspace_of_the_same_name_keeps_its_runs(workspace, tmp_path):
    other = Workspace.open(shutil.copytree(workspace.path, tmp_path / "b" / workspace.path.name))
    with other.recording("made elsewhere") as recording:
        recording.con.execute("UPDATE runs SET host = 'elsewhere'")
    board, place = str(tmp_path / "board"), str(tmp_path / "runs")
    track(workspace, "tensorboard", board)
    with pytest.raises(InputError, match="belongs to another workspace"):
        track(other, "tensorboard", board)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert [track(one, "mlflow", place)[1] for one in (workspace, other, workspace)] == [2, 2, 0]


def test_the_command_prints_where_to_look(workspace):
    done = cli("-w", workspace.path, "track", "--to", "tensorboard")
    assert f"tensorboard --logdir {workspace.path / 'tracking' / 'tensorboard'}" in done.out


def test_foreign_folders_and_empty_workspaces_are_refused(workspace, tmp_path):
    (tmp_path / "round-001").mkdir()
    (tmp_path / "round-001" / "events.out.tfevents.1").touch()
    failed(cli("-w", workspace.path, "track", "--to", "tensorboard", "--dir", tmp_path), "not written by catbuilder")
    failed(cli("-w", workspace.path, "track", "--to", "mlflow", "--dir", "odd://place"), "MLflow at odd://place")
    empty = create_workspace(tmp_path / "ws")
    failed(cli("-w", empty.path, "track", "--to", "mlflow"), "no round has a model yet")
