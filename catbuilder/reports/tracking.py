"""Copy rounds to TensorBoard or MLflow: losses by epoch, test metrics by round, the recipe and the figure.

Nothing is sent while a round runs, so rounds need neither package: the values are read from models and catalogue
afterwards. A round that is there already and has not changed is not written again.
"""

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.catalogue.round_records import RoundPlan, read_plan
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.arguments import require_one_of
from catbuilder.core.errors import InputError, RoundError
from catbuilder.core.paths import folder_to_write
from catbuilder.core.progress import Reporter
from catbuilder.core.resources import query
from catbuilder.core.safe_text import in_one_line
from catbuilder.core.version import __version__
from catbuilder.network.model_card import read_model_card
from catbuilder.reports.accuracy_figure import draw_accuracy
from catbuilder.rounds.training import members_of

Tracker = Literal["tensorboard", "mlflow"]
Points = list[tuple[int, float]]  # (epoch from 1, value)

_MARK = "catbuilder.json"  # in each folder that we write, with the state it was written from
_MOST_PARAMETERS = 100  # that MLflow accepts at once


@dataclass(frozen=True)
class TrackedRound:
    """The values of a round that are written."""

    workspace: str  # host and time of its first recording, which stay when the folder moves
    plan: RoundPlan
    sha256: str  # of its model
    run: int  # the recording that changed it last
    trained_at: float  # seconds since 1970
    ended_at: float
    metrics: Mapping[str, float]
    networks: Sequence[Mapping[str, Points]]  # curves by epoch, of each network of the ensemble

    @property
    def mark(self) -> dict[str, Any]:
        """The state of the round; if it is the same, so is everything written."""
        return {
            "workspace": self.workspace,
            "round": self.plan.round,
            "model": self.sha256,
            "run": self.run,
            "catbuilder": __version__,
        }


def track(workspace: Workspace, to: Tracker, place: str = "", *, reporter: Reporter | None = None) -> tuple[str, int]:
    """Write the metrics and curves of every round to TensorBoard or MLflow.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    to : {"tensorboard", "mlflow"}
        Program to write for.
    place : str
        A folder; for MLflow also the address of its server. By default a folder of that name in `tracking/` of the
        workspace.
    reporter : Reporter, optional
        Shows progress and messages; by default nothing is printed.

    Returns
    -------
    tuple of str and int
        The folder or address, and the number of rounds written; unchanged rounds are not counted.

    Raises
    ------
    InputError
        The package is not installed, or the folder has events that were not written by this function.
    RoundError
        No round has a model yet.

    Examples
    --------
    >>> place, rounds = catbuilder.track(workspace, "tensorboard")
    """
    require_one_of(to, get_args(Tracker), "a tracker")
    if place and "://" not in place:
        folder_to_write(place, "the folder to track in")
    rounds = tracked_rounds(workspace)
    if not rounds:
        raise RoundError("no round has a model yet, so there is nothing to track; run one with: catbuilder round")
    place = place or str(workspace.path / "tracking" / to)
    write = _to_tensorboard if to == "tensorboard" else _to_mlflow
    with (reporter or Reporter(quiet=True)).bar("tracking") as update:
        written = write(workspace, rounds, place, lambda done: update(done, len(rounds)))
    return place, written


def tracked_rounds(workspace: Workspace) -> list[TrackedRound]:
    """Read every round that has a model, oldest first."""
    with workspace.reading() as con:
        rows = fetch_arrow(con, query("reports/tracked_rounds")).to_pylist()
        plans = {row["round"]: read_plan(con, row["round"]) for row in rows}
        metrics = fetch_arrow(con, query("reports/tracked_metrics")).to_pylist()
        recordings = con.execute("SELECT host, recorded_at FROM runs ORDER BY run LIMIT 1").fetchall()
    name = "".join(f"{host} {first.isoformat()}" for host, first in recordings)  # empty if there is no round either
    found = []
    for row in rows:
        plan = plans[row["round"]]
        own = {one["name"]: float(one["value"]) for one in metrics if one["round"] == plan.round}
        files = [member.file for member in members_of(workspace, plan)]
        networks = [_curves(file) for file in files if file.exists()]
        found.append(
            TrackedRound(name, plan, row["sha256"], row["run"], row["trained_at"], row["ended_at"], own, networks)
        )
    return found


def _curves(model: Path) -> dict[str, Points]:
    """Read losses, learning rate and validation accuracies of a network by epoch."""
    curves: dict[str, Points] = {}
    for result in read_model_card(model).history:
        values: dict[str, float | None] = {
            "training/loss": result.loss,
            "training/learning_rate": result.learning_rate,
            "validation/loss": result.validation_loss,
            "validation/loss_clean": result.validation_clean,
            "validation/loss_shifted": result.validation_shifted,
        }
        values |= {f"validation/accuracy/{survey}": value for survey, value in result.accuracy.items()}
        values |= {f"validation/accuracy_shifted/{survey}": value for survey, value in result.accuracy_shifted.items()}
        for name, value in values.items():
            if value is not None:
                curves.setdefault(name, []).append((result.epoch + 1, value))
    return curves


def _to_tensorboard(workspace: Workspace, rounds: list[TrackedRound], place: str, done: Callable[[int], None]) -> int:
    """Write a run for each network with its curves, and the run `rounds` with test metrics by round."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise _not_installed("tensorboard") from None
    folder, written = Path(place), 0
    together = {"workspace": rounds[0].workspace, "rounds": [one.mark for one in rounds]}
    _is_unchanged(folder / "rounds", together)  # refuse the folder of another workspace before writing anything
    for number, one in enumerate(rounds, start=1):
        for place_of, curves in enumerate(one.networks, start=1):
            name = f"round-{one.plan.round:03d}" + (f"/network-{place_of}" if len(one.networks) > 1 else "")
            fresh = _new_run_folder(folder / name, one.mark)
            if fresh is None:
                continue
            with SummaryWriter(str(fresh)) as writer:
                writer.add_text("recipe", _as_markdown(one.plan), one.plan.round, one.trained_at)
                for curve, points in curves.items():
                    for epoch, value in points:
                        writer.add_scalar(curve, value, epoch, one.trained_at)
            _replace_run(fresh, folder / name, one.mark)
            written += place_of == 1
        done(number)
    if (fresh := _new_run_folder(folder / "rounds", together)) is not None:
        with SummaryWriter(str(fresh)) as writer:
            for one in rounds:
                for name, value in one.metrics.items():
                    writer.add_scalar(name, value, one.plan.round, one.ended_at)
            with tempfile.TemporaryDirectory() as temporary:
                if (figure := _figure(workspace, Path(temporary), None)) is not None:
                    writer.add_image("accuracy against coverage", _pixels(figure), rounds[-1].plan.round,
                                     rounds[-1].ended_at, dataformats="HWC")  # fmt: skip
        _replace_run(fresh, folder / "rounds", together)
    return written


def _is_unchanged(folder: Path, mark: dict[str, Any]) -> bool:
    """Whether a run is there and unchanged; refuse the folder of another workspace or program."""
    if not folder.exists():
        return False
    try:
        standing = json.loads((folder / _MARK).read_text(encoding="utf-8"))
        ours = standing["workspace"] == mark["workspace"]
    except (OSError, ValueError, KeyError, TypeError):
        if any(folder.glob("events.*")):
            raise InputError(
                f"{folder} holds events that were not written by catbuilder track; give another folder with --dir"
            ) from None
        return False
    if not ours:
        raise InputError(f"{folder} belongs to another workspace; give this one its own folder with --dir")
    return bool(standing == mark)


def _new_run_folder(folder: Path, mark: dict[str, Any]) -> Path | None:
    """Make an empty folder beside the run's place to write it into; None if the run is there and unchanged."""
    if _is_unchanged(folder, mark):
        return None
    fresh = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    return fresh


def _replace_run(fresh: Path, folder: Path, mark: dict[str, Any]) -> None:
    (fresh / _MARK).write_text(json.dumps(mark), encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    fresh.rename(folder)


def _to_mlflow(workspace: Workspace, rounds: list[TrackedRound], place: str, done: Callable[[int], None]) -> int:
    """Write an experiment for the workspace and a run for each round: parameters, curves, metrics, recipe, figure."""
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise _not_installed("mlflow") from None
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # it logs every step of creating its tables
    try:
        client = MlflowClient(mlflow_address(place))
        return _mlflow_runs(client, workspace, rounds, _artifacts(place), done)
    except MlflowException as error:
        raise InputError(
            f"cannot write to MLflow at {place} ({in_one_line(error)}); give a folder or the address of its server"
        ) from None


def mlflow_address(place: str) -> str:
    """Return the address of MLflow's records: a server or database as given, or a database in a folder.

    MLflow no longer writes to plain folders.
    """
    if "://" in place:
        return place
    folder = Path(place).resolve()
    if "?" in str(folder):
        raise InputError(
            f"MLflow cannot write to {folder}, because of the question mark; give another folder with --dir"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}"


def _artifacts(place: str) -> str | None:
    """Return the address of the folder of artifacts; None for a server, which has its own."""
    return None if "://" in place else (Path(place).resolve() / "artifacts").as_uri()


def _mlflow_runs(
    client: Any, workspace: Workspace, rounds: list[TrackedRound], artifacts: str | None, done: Callable[[int], None]
) -> int:
    name = f"catbuilder {workspace.path.name}"
    experiment = client.get_experiment_by_name(name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(name, artifacts)
    written = 0
    for number, one in enumerate(rounds, start=1):
        mark = json.dumps(one.mark)
        # a workspace in a folder of the same name has its runs in the same experiment
        tag = f"tags.`catbuilder.workspace` = '{one.workspace}' AND tags.`catbuilder.round` = '{one.plan.round}'"
        standing = client.search_runs([experiment_id], tag)
        if not any(run.data.tags.get("catbuilder.mark") == mark and run.info.status == "FINISHED" for run in standing):
            for run in standing:  # an older state, or a leftover of a killed command
                client.delete_run(run.info.run_id)
            _one_mlflow_run(client, workspace, experiment_id, one, mark)
            written += 1
        done(number)
    return written


def _one_mlflow_run(client: Any, workspace: Workspace, experiment_id: str, one: TrackedRound, mark: str) -> None:
    from mlflow.entities import Metric, Param

    tags = {
        "catbuilder.workspace": one.workspace,
        "catbuilder.round": str(one.plan.round),
        "catbuilder.mark": mark,
    }
    run = client.create_run(
        experiment_id, start_time=_ms(one.trained_at), tags=tags, run_name=f"round {one.plan.round}"
    )
    run_id = run.info.run_id
    metrics = [Metric(name, value, _ms(one.ended_at), one.plan.round) for name, value in one.metrics.items()]
    for place, curves in enumerate(one.networks, start=1):
        before = f"network-{place}/" if len(one.networks) > 1 else ""
        for name, points in curves.items():
            metrics += [Metric(before + name, value, _ms(one.trained_at), epoch) for epoch, value in points]
    for first in range(0, len(metrics), 1000):
        client.log_batch(run_id, metrics=metrics[first : first + 1000])
    parameters = [Param(name, str(value)) for name, value in _parameters(one.plan).items()]
    for first in range(0, len(parameters), _MOST_PARAMETERS):
        client.log_batch(run_id, params=parameters[first : first + _MOST_PARAMETERS])
    with tempfile.TemporaryDirectory() as temporary:
        recipe = Path(temporary) / "recipe.json"
        recipe.write_text(one.plan.recipe.model_dump_json(indent=1), encoding="utf-8")
        client.log_artifact(run_id, str(recipe))
        if (figure := _figure(workspace, Path(temporary), one.plan.round)) is not None:
            client.log_artifact(run_id, str(figure))
    client.set_terminated(run_id, end_time=_ms(one.ended_at))


def _figure(workspace: Workspace, folder: Path, round_number: int | None) -> Path | None:
    """Plot accuracy against coverage, of one round or of all, as PNG; None if no test set was measured."""
    with workspace.reading() as con:
        asked = None if round_number is None else [round_number]
        curves = fetch_arrow(con, query("decisions/accuracy_curves"), {"rounds": asked})
    if not curves.num_rows:
        return None
    draw_accuracy(curves, folder / "accuracy.png")
    return folder / "accuracy.png"


def _pixels(figure: Path) -> Any:
    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(figure).convert("RGB"))


def _parameters(plan: RoundPlan) -> dict[str, Any]:
    """Return the settings of the recipe by dotted keys, and the seed, processes and object counts of the plan."""
    told = {"seed": plan.seed, "ranks": plan.ranks, "training_objects": plan.training, "scored_objects": plan.scored}
    return told | plan.recipe.settings()


def _as_markdown(plan: RoundPlan) -> str:
    lines = [f"| {name} | {value} |" for name, value in _parameters(plan).items()]
    return "\n".join(["| setting | value |", "|---|---|", *lines])


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _not_installed(package: str) -> InputError:
    return InputError(f"{package} is not installed here; install it with: pip install 'catbuilder[{package}]'")
