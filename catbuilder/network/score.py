"""Worker process: score shards of a manifest with a finished model. `python -m catbuilder.network.score JOB.json`.

Three threads keep the device busy: one reads stamps ahead from the memory map, the main thread submits batches to the
device, and one writes. A model is one network or an ensemble, whose members are in memory together, so that each stamp
is read once; or the mean of such a round and earlier ones, whose posteriors are read from their files where they have
scored the same stamp. Horovod is not needed: shards are independent, and a process that dies is restarted alone and
resumes where it stopped.
"""

import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from catbuilder.core.errors import NothingToScore, WeightsError
from catbuilder.core.processes import PARENT_VARIABLE
from catbuilder.core.stamps import StampReader
from catbuilder.network.batches import Positions, ordered_batches, read_ahead
from catbuilder.network.checkpoint import load_model
from catbuilder.network.earlier_scores import EarlierScores
from catbuilder.network.jobs import EarlierRound, ScoreJob, hashes_file, manifest_rows
from catbuilder.network.scorer import EarlierPosteriors, Ensemble, Scorer, Scores, mean_of_rounds
from catbuilder.network.shard_writer import ShardWriter
from catbuilder.network.worker import EventLog, prepare_process, run_worker


def score_shard(
    job: ScoreJob, model: "MeanOfRounds", number: int, first: int, end: int, log: EventLog, done: int
) -> None:
    """Score the rows from `first` to `end` of the manifest into `scores-<number>` and `features-<number>.parquet`.

    Parameters
    ----------
    done : rows of the shards before this one, for the progress log
    """
    columns = ["survey", "object_id", "shard", "row", "keep_features"]
    rows = manifest_rows(pq.ParquetFile(job.manifest, memory_map=True), first, end, columns)
    if rows.num_rows != end - first:
        raise NothingToScore(
            f"{job.manifest} has no rows {first} to {end}; give the same command again to plan the scoring again"
        )
    reader = StampReader(job.workspace, rows["shard"], rows["row"].to_numpy())
    model.look_up(rows)
    with ShardWriter(job, number, rows) as writer:
        if writer.rows_done:
            log.write("resumed", shard=number, rows=writer.rows_done)
        batches = ordered_batches(writer.rows_done, rows.num_rows, model.own.batch_size)
        for batch, stamps in zip(batches, read_ahead(reader, batches, model.own.device), strict=True):
            writer.add(batch, model.begin(batch, stamps))
            if log.is_due():
                _progress(log, done + int(batch[-1]) + 1, job)


def main(arguments: Sequence[str]) -> None:
    """Score the shards of the job in the file named on the command line."""
    job = ScoreJob.model_validate_json(Path(arguments[0]).read_text(encoding="utf-8"))
    prepare_process(job.coordinator, job.threads)
    score(job)


def score(job: ScoreJob) -> None:
    """Score the shards of a job that are not scored yet."""
    model = MeanOfRounds(job)
    log = EventLog(job.folder / _log_name())
    done = 0
    for number, first, end in job.shards:
        if not hashes_file(job.folder, number).exists():  # it exists if this process was restarted
            score_shard(job, model, number, first, end, log, done)
        done += end - first
        log.write("shard", shard=number, rows=end - first)
        _progress(log, done, job)
    log.write("end", done=done)


class MeanOfRounds:
    """The networks of a job's round, and those of earlier rounds with which they are averaged, if there are any."""

    def __init__(self, job: ScoreJob) -> None:
        self.own = Ensemble([_scorer(job, model) for model in (job.model, *job.others)])
        self._earlier = [_EarlierNetworks(job, earlier) for earlier in job.earlier]

    def look_up(self, rows: pa.Table) -> None:
        """Find what the earlier rounds gave for the rows of the next shard."""
        for earlier in self._earlier:
            earlier.look_up(rows)

    def begin(self, batch: Positions, stamps: Tensor) -> Callable[[], Scores]:
        """Submit the stamps of these rows of the shard to the device, and give what waits for their scores."""
        own = self.own.begin(stamps)
        earlier = [each.begin(batch, stamps) for each in self._earlier]

        def finish() -> Scores:
            scores = self.own.finish(own)
            return mean_of_rounds(scores, len(self.own.members), [wait() for wait in earlier]) if earlier else scores

        return finish


class _EarlierNetworks:
    """The networks of one earlier round, which are loaded only if they are missing posteriors."""

    def __init__(self, job: ScoreJob, earlier: EarlierRound) -> None:
        self._job, self._earlier = job, earlier
        self._scores = EarlierScores(earlier, job.classes)
        self._networks: Ensemble | None = None

    def look_up(self, rows: pa.Table) -> None:
        self._known = self._scores.of(rows)

    def begin(self, batch: Positions, stamps: Tensor) -> Callable[[], EarlierPosteriors]:
        known, networks = self._known, len(self._earlier.models)
        posteriors, information = known.posteriors[batch], known.mutual_information[batch]
        missing = np.isnan(posteriors[:, 0])
        if not missing.any():
            return lambda: EarlierPosteriors(posteriors, information, networks)
        ensemble = self._networks = self._networks or Ensemble([_scorer(self._job, m) for m in self._earlier.models])
        begun = ensemble.begin(stamps)

        def finish() -> EarlierPosteriors:
            scores = ensemble.finish(begun).rounded()
            posteriors[missing] = scores.posteriors[missing]
            if scores.mutual_information is not None:
                information[missing] = scores.mutual_information[missing]
            return EarlierPosteriors(posteriors, information, networks)

        return finish


def _scorer(job: ScoreJob, model: Path) -> Scorer:
    network, card = load_model(model)
    if card.plan.classes != job.classes:
        raise WeightsError(
            f"{model} was trained for the classes {', '.join(card.plan.classes)}; use a model of this workspace"
        )
    scoring, recipe = job.recipe.scoring, job.recipe
    return Scorer(
        network, scoring.batch_size, scoring.symmetries, recipe.scores_in_bf16, recipe.training.channels_last,
        scoring.compile,
    )  # fmt: skip


def _log_name() -> str:
    host = f"{socket.gethostname()}-" if PARENT_VARIABLE in os.environ else ""  # two nodes may have the same process id
    return f"score-{host}{os.getpid()}.jsonl"


def _progress(log: EventLog, done: int, job: ScoreJob) -> None:
    of = sum(end - first for _, first, end in job.shards)
    # the first shard identifies this process's share of the work: it is the same after a restart
    log.write("progress", share=job.shards[0][0], done=done, of=of, seconds=round(log.seconds(), 3))


if __name__ == "__main__":
    run_worker(main, sys.argv[1:])
