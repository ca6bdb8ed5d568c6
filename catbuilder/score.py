"""Worker process: score shards of a manifest with a finished model. `python -m catbuilder.score JOB.json`.

A model is one network or an ensemble, whose members are held in memory together and read each stamp once.
Deterministic: eval mode, no augmentation, and batches of one fixed size, the last one padded, so that a
stamp's posterior does not depend on what it was scored with. No Horovod: shards are independent, and a process
that dies is started again alone.
"""

import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from scipy.special import entr
from torch import Tensor

from catbuilder import distributed
from catbuilder.batches import manifest_rows, plain_batches, read_ahead
from catbuilder.checkpoint import load_model
from catbuilder.errors import NothingToScore, WeightsError
from catbuilder.files import sha256_file, write_text, written_whole
from catbuilder.jobs import STARTER_VARIABLE, ScoreJob, hashes_file, shard_files
from catbuilder.network import GalaxyNetwork
from catbuilder.stamps import StampReader
from catbuilder.worker import EventLog, prepare_process, run_worker

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Posteriors (n, classes) and features (n, hidden) of n stamps; of an ensemble, its disagreement (n), nats."""

    # float64, so that the classes of an object sum to 1 to the last digit of the float32 that is stored
    posteriors: Doubles
    features: Floats
    mutual_information: Doubles | None = None


class Scorer:
    """A network that scores batches of stamps of one fixed size."""

    def __init__(
        self, network: GalaxyNetwork, batch_size: int, symmetries: int, bf16: bool, channels_last: bool
    ) -> None:
        self.device = distributed.device()
        self.network = network.eval().to(self.device)
        if channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)
        self.batch_size, self.symmetries, self.bf16 = batch_size, symmetries, bf16

    @torch.inference_mode()
    def score(self, stamps: Tensor) -> Scores:
        """Score up to `batch_size` stamps, uint8 (n, size, size, 3)."""
        n = len(stamps)
        padding = stamps[-1:].expand(self.batch_size - n, *stamps.shape[1:])
        images = self.network.prepare(torch.cat([stamps, padding]).to(self.device))
        posteriors, features = [], []
        for view in _views(images, self.symmetries):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                features.append(self.network.features(view))
            posteriors.append(self.network.classify(features[-1]).double().softmax(1))
        mean = torch.stack(posteriors).mean(0)[:n]
        return Scores(mean.cpu().numpy(), torch.stack(features).mean(0)[:n].cpu().numpy())


class Ensemble:
    """One network or several that score together: the mean of their posteriors, the features of the first.

    Features are those of member 0 alone because the axes of two trainings have nothing to do with each other: a mean of
    them means nothing, and distances between samples want one space.
    """

    def __init__(self, members: Sequence[Scorer]) -> None:
        self.members = members
        self.batch_size = members[0].batch_size

    def score(self, stamps: Tensor) -> Scores:
        """Score up to `batch_size` stamps, uint8 (n, size, size, 3)."""
        scores = [member.score(stamps) for member in self.members]
        posteriors = np.stack([score.posteriors for score in scores])
        disagreement = mutual_information(posteriors) if len(scores) > 1 else None
        return Scores(posteriors.mean(0), scores[0].features, disagreement)


def mutual_information(posteriors: Doubles) -> Doubles:
    """Entropy of the mean posterior less the mean entropy of the members', nats: what they disagree about (BALD).

    Between 0, where all say the same, however unsurely, and the logarithm of the number of members or of classes,
    whichever is less (Houlsby et al. 2011, arXiv:1112.5745).

    Parameters
    ----------
    posteriors : (members, n, classes)
    """
    disagreement: Doubles = entr(posteriors.mean(0)).sum(1) - entr(posteriors).sum(2).mean(0)
    return disagreement.clip(min=0.0)  # members that agree differ by a rounding, which has either sign


def score_shard(job: ScoreJob, scorer: Ensemble, number: int, first: int, end: int, log: EventLog, done: int) -> None:
    """Score rows first to end of the manifest into `scores-<number>` and `features-<number>.parquet`."""
    columns = ["survey", "object_id", "shard", "row", "keep_features"]
    rows = manifest_rows(pq.ParquetFile(job.manifest, memory_map=True), first, end, columns)
    if rows.num_rows != end - first:
        raise NothingToScore(f"{job.manifest} has no rows {first} to {end}; plan the scoring again")
    reader = StampReader(job.workspace, rows["shard"].to_pylist(), rows["row"].to_numpy())
    keep = rows["keep_features"].to_numpy()
    batches = plain_batches(0, rows.num_rows, scorer.batch_size)
    posteriors, features, disagreements = [], [], []
    for batch, stamps in zip(batches, read_ahead(reader, batches), strict=True):
        scores = scorer.score(stamps)
        posteriors.append(scores.posteriors)
        features.append(scores.features[keep[batch]])
        if scores.mutual_information is not None:
            disagreements.append(scores.mutual_information)
        if log.is_due():
            _progress(log, done + int(batch[-1]) + 1, job)
    if not np.isfinite(np.concatenate(posteriors)).all():
        which = f"{job.model} or another network of its ensemble" if job.others else str(job.model)
        raise WeightsError(f"{which} gives scores that are not numbers; train again with a lower learning rate")
    identity = rows.select(["survey", "object_id"])
    files = shard_files(job.folder, number)
    if keep.any():
        kept = _with_features(identity.filter(pa.array(keep)), np.concatenate(features))
        _write(files["features"], kept)
    scored = _with_posteriors(identity, np.concatenate(posteriors), job.classes)
    if disagreements:
        information = pa.array(np.concatenate(disagreements).astype(np.float32))
        scored = scored.append_column("mutual_information", information)
    _write(files["scores"], scored)
    # last: a shard counts as done once its hashes are there
    hashes = {kind: sha256_file(file) for kind, file in files.items() if file.exists()}
    write_text(hashes_file(job.folder, number), json.dumps(hashes))


def main(arguments: Sequence[str]) -> None:
    """Score the shards of the job of the file named on the command line."""
    job = ScoreJob.model_validate_json(Path(arguments[0]).read_text(encoding="utf-8"))
    prepare_process(job.coordinator, job.threads)
    scorer = Ensemble([_scorer(job, model) for model in (job.model, *job.others)])
    log = EventLog(job.folder / _log_name())
    done = 0
    for number, first, end in job.shards:
        if not hashes_file(job.folder, number).exists():  # it is there when this process was started again
            score_shard(job, scorer, number, first, end, log, done)
        done += end - first
        log.write("shard", shard=number, rows=end - first)
        _progress(log, done, job)
    log.write("end", done=done)


def _scorer(job: ScoreJob, model: Path) -> Scorer:
    network, card = load_model(model)
    if card.plan.classes != job.classes:
        raise WeightsError(
            f"{model} knows the classes {', '.join(card.plan.classes)}; score with this workspace's model"
        )
    scoring, training = job.recipe.scoring, job.recipe.training
    return Scorer(network, scoring.batch_size, scoring.symmetries, training.precision == "bf16", training.channels_last)


def _log_name() -> str:
    host = f"{socket.gethostname()}-" if STARTER_VARIABLE in os.environ else ""  # two hosts may give the same number
    return f"score-{host}{os.getpid()}.jsonl"


def _views(images: Tensor, symmetries: int) -> list[Tensor]:
    """1: the image; 2: and its mirror image; 4: its right-angle turns; 8: these and their mirror images."""
    if symmetries <= 2:
        return [images, images.flip(3)][:symmetries]
    turns = [torch.rot90(images, k, (2, 3)) for k in range(4)]
    return turns if symmetries == 4 else turns + [turn.flip(3) for turn in turns]


def _progress(log: EventLog, done: int, job: ScoreJob) -> None:
    of = sum(end - first for _, first, end in job.shards)
    log.write("progress", done=done, of=of, seconds=round(log.seconds(), 3))


def _with_posteriors(identity: pa.Table, posteriors: Doubles, classes: Sequence[str]) -> pa.Table:
    for index, name in enumerate(classes):
        identity = identity.append_column(f"p_{name}", pa.array(posteriors[:, index].astype(np.float32)))
    return identity


def _with_features(identity: pa.Table, features: Floats) -> pa.Table:
    flat = pa.array(features.reshape(-1))
    return identity.append_column("features", pa.FixedSizeListArray.from_arrays(flat, features.shape[1]))


def _write(path: Path, table: pa.Table) -> None:
    with written_whole(path) as temporary:
        pq.write_table(table.combine_chunks(), temporary, compression="zstd")


if __name__ == "__main__":
    run_worker(main, sys.argv[1:])
