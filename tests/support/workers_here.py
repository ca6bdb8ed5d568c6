"""Train and score in the test's own process, where the worker's process is not what is tested.

A worker process imports PyTorch for 5 s of a core and then works for one: what it does is the same code, called here.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from catbuilder.network.jobs import ScoreJob, TrainJob
from catbuilder.rounds import scoring
from catbuilder.rounds.launch import ranks
from catbuilder.rounds.launch.processes import Worker, run_all

TRAIN, SCORE = "catbuilder.network.train", "catbuilder.network.score"


def do_job(job: TrainJob | ScoreJob) -> None:
    """Train or score with the threads of the job, on one rank."""
    import torch  # here: many tests need none of it

    from catbuilder.network.score import score
    from catbuilder.network.train import train

    threads = torch.get_num_threads()
    torch.set_num_threads(job.threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        train(job) if isinstance(job, TrainJob) else score(job)
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)


@contextmanager
def workers_here() -> Iterator[None]:
    """Do the work of rounds of one process here; workers that run side by side, or fail, are processes as ever."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranks, "run_all", _run_here)
        patch.setattr(scoring, "run_all", _run_here)
        yield


def _run_here(workers: Sequence[Worker], watch: Callable[[], None], restarts: int = 0) -> None:
    if len(workers) > 1 or workers[0].module not in (TRAIN, SCORE):
        run_all(workers, watch, restarts)
        return
    (worker,) = workers
    kind: type[TrainJob | ScoreJob] = TrainJob if worker.module == TRAIN else ScoreJob
    job = kind.model_validate_json(worker.job.read_text(encoding="utf-8"))
    worker.log.touch()
    try:
        do_job(job)
    except Exception:  # its exit code and its log become part of the error
        run_all(workers, watch, restarts)
    watch()
