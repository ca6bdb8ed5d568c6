"""Worker process: train one network on a manifest. `python -m catbuilder.network.train JOB.json`, one for each rank.

The file reads from top to bottom: join the other ranks, build the network, then train epochs until the schedule ends.
The same job on the same number of ranks gives the same bits, whether or not it was interrupted: every random number is
seeded by a hash of its epoch, step and rank, gradients are summed in a fixed order, and a checkpoint after each epoch
holds all other state.
"""

import math
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from torch import Tensor

from catbuilder.core.errors import ConfigError, NothingToTrain
from catbuilder.core.files import sha256_file
from catbuilder.core.recipe import Recipe
from catbuilder.core.stamps import StampReader
from catbuilder.network import distributed
from catbuilder.network.augment import augment, survey_view
from catbuilder.network.batches import epoch_batches, ordered_batches, read_ahead, stream, stream_seed
from catbuilder.network.checkpoint import State, load_checkpoint, save_checkpoint, save_model, state_copy
from catbuilder.network.galaxy_network import GalaxyNetwork, build_network, set_trainable_from, train_mode
from catbuilder.network.jobs import TrainJob
from catbuilder.network.model_card import CardPlan, EpochResult, ModelCard, TrainingSummary
from catbuilder.network.schedule import Epoch, best_epoch, max_epochs, next_epoch
from catbuilder.network.starting_weights import load_starting_weights
from catbuilder.network.worker import EventLog, prepare_process, run_worker


class Examples:
    """The manifest's stamps of one role ('training' or 'validation'), with their labels and surveys."""

    def __init__(self, job: TrainJob, role: str) -> None:
        table = pq.read_table(job.manifest)
        table = table.filter(pc.equal(table["role"], role))
        self.labels: npt.NDArray[np.int64] = table["label"].to_numpy().astype(np.int64)
        self.surveys = np.asarray(table["survey"].to_pylist(), dtype=str)
        self.reader = StampReader(job.workspace, table["shard"].to_pylist(), table["row"].to_numpy())

    def __len__(self) -> int:
        return len(self.labels)


class Trainer:
    """Trains the network on one rank."""

    def __init__(self, job: TrainJob) -> None:
        self.job, self.recipe = job, job.recipe
        self.settings = job.recipe.training
        self.device = distributed.device()
        self.rank, self.ranks = distributed.rank(), distributed.size()
        self.training, self.validation = Examples(job, "training"), Examples(job, "validation")
        if not len(self.training):
            raise NothingToTrain(f"{job.manifest} has no training rows; label or ingest more objects")
        self.plan = _plan(job)
        self.network = _starting_network(job).to(self.device)
        if self.settings.channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)
        self.optimiser = _adam(self.network, self.recipe)
        self.history: list[EpochResult] = []
        self.best: State = {}
        self.log = EventLog(job.folder / "train.jsonl") if self.rank == 0 else EventLog(None)

    def run(self) -> None:
        """Train until the schedule ends and write `model.safetensors`."""
        self._resume()
        self.log.write(
            "start",
            epochs=max_epochs(self.settings),
            epochs_done=len(self.history),
            training=len(self.training),
            validation=len(self.validation),
            ranks=self.ranks,
            threads=self.job.threads,
            device=str(self.device),
            note="" if len(self.validation) else _NO_VALIDATION,
        )
        while epoch := next_epoch(self.settings, self.ranks, self._losses()):
            self._one_epoch(epoch)
        best = best_epoch(self._losses())
        if self.rank == 0:
            card = ModelCard(recipe=self.recipe, plan=self.plan, best_epoch=best, history=self.history)
            save_model(self.job.folder / "model.safetensors", self.best, card)
        self.log.write("end", epochs_done=len(self.history), best_epoch=best, validation_loss=self._losses()[best])
        distributed.barrier()  # no rank exits before the model is on disk

    def _resume(self) -> None:
        if self.job.resume_from is not None:
            found, self.best = load_checkpoint(self.job.resume_from, self.plan, self.network, self.optimiser)
            self.history = found.history

    def _losses(self) -> list[float | None]:
        return [result.validation_loss for result in self.history]

    def _one_epoch(self, epoch: Epoch) -> None:
        set_trainable_from(self.network, self.settings.stages[epoch.stage].train_from)
        for group in self.optimiser.param_groups:
            group["lr"] = epoch.learning_rate
        gradients = distributed.GradientAverager(self.network.parameters(), self.settings.gradient_groups)
        loss = self._train(epoch, gradients)
        gradients.close()
        # Each rank saw other images; average the batch statistics, so that all ranks validate and save one network.
        buffers = self.network.named_buffers()
        distributed.allreduce_mean_([b for name, b in buffers if name.split(".")[-1] in _RUNNING])
        result = EpochResult(epoch=epoch.number, stage=epoch.stage, learning_rate=epoch.learning_rate, loss=loss)
        self.history.append(self._validated(result))
        is_best = best_epoch(self._losses()) == epoch.number
        if is_best:
            self.best = state_copy(self.network)
        if self.rank == 0:
            found = TrainingSummary(plan=self.plan, history=self.history)
            save_checkpoint(self.job.folder, found, self.network, self.optimiser, None if is_best else self.best)
        self.log.write("epoch", epochs=max_epochs(self.settings), **self.history[-1].model_dump())

    def _train(self, epoch: Epoch, gradients: distributed.GradientAverager) -> float:
        """Train one epoch and give the mean loss over all ranks."""
        place = (self.job.seed, self.job.round, epoch.number)
        batches = epoch_batches(
            len(self.training), self.settings.batch_size, self.rank, self.ranks, stream_seed("order", *place)
        )
        train_mode(self.network)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        self.log.restart_clock()
        for step, stamps in enumerate(read_ahead(self.training.reader, batches, self.device)):
            labels = torch.from_numpy(self.training.labels[batches[step]])
            loss = self.step(stamps, labels, (*place, step, self.rank), gradients)
            total += loss
            if self.log.is_due():
                self._report(epoch, step + 1, len(batches), float(loss))
        mean = distributed.sum_scalars([float(total)])[0] / (len(batches) * self.ranks)
        if not math.isfinite(mean):
            raise ConfigError(f"the loss is not finite in epoch {epoch.number + 1}; lower training.learning_rate")
        return mean

    def step(
        self, stamps: Tensor, labels: Tensor, place: tuple[int, ...], gradients: distributed.GradientAverager
    ) -> Tensor:
        """Train on one batch of stored stamps, with labels on the CPU, and give its loss."""
        images = self.network.prepare(stamps.to(self.device, non_blocking=True))
        images = augment(images, self.recipe.augmentation, stream(self.device, "augmentation", *place))
        torch.manual_seed(stream_seed("dropout", *place))
        with self._autocast():
            logits = self.network(images)
        loss = F.cross_entropy(logits, labels.to(self.device), label_smoothing=self.settings.label_smoothing)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        gradients.finish()
        self.optimiser.step()
        return loss.detach()

    def _validated(self, result: EpochResult) -> EpochResult:
        if not len(self.validation):
            return result
        clean, accuracy = self._validate(shifted=False)
        update: dict[str, object] = {
            "validation_loss": clean,
            "validation_clean": clean,
            "accuracy": accuracy,
        }
        if self.recipe.validation.shifted:
            shifted, accuracy = self._validate(shifted=True)
            update |= {"validation_loss": (clean + shifted) / 2, "validation_shifted": shifted}
            update["accuracy_shifted"] = accuracy
        return result.model_copy(update=update)

    @torch.inference_mode()
    def _validate(self, shifted: bool) -> tuple[float, dict[str, float]]:
        """Compute the mean cross-entropy, and the accuracy for each survey.

        Ranks take whole batches in turn, and a batch's survey shift depends only on its number: every epoch, on any
        number of ranks, sees the same images.
        """
        self.network.eval()
        batches = ordered_batches(0, len(self.validation), self.recipe.scoring.batch_size)
        mine = range(self.rank, len(batches), self.ranks)
        surveys = sorted(set(self.validation.surveys))
        loss, right = 0.0, dict.fromkeys(surveys, 0.0)
        ahead = read_ahead(self.validation.reader, [batches[number] for number in mine], self.device)
        for number, stamps in zip(mine, ahead, strict=True):
            images = self.network.prepare(stamps.to(self.device, non_blocking=True))
            if shifted:
                generator = stream(self.device, "validation", self.job.seed, number)
                images = survey_view(images, self.recipe.augmentation, generator)
            with self._autocast():
                logits = self.network(images).double().cpu()
            labels = torch.from_numpy(self.validation.labels[batches[number]])
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
            hits = (logits.argmax(1) == labels).numpy()
            for survey in surveys:
                right[survey] += float(hits[self.validation.surveys[batches[number]] == survey].sum())
        loss, *hits_by_survey = distributed.sum_scalars([loss, *right.values()])
        counts = [int((self.validation.surveys == survey).sum()) for survey in surveys]
        accuracy = {s: h / n for s, h, n in zip(surveys, hits_by_survey, counts, strict=True)}
        return loss / len(self.validation), accuracy

    def _report(self, epoch: Epoch, step: int, steps: int, loss: float) -> None:
        seconds = self.log.seconds()
        images = step * self.settings.batch_size * self.ranks
        self.log.write(
            "step",
            epoch=epoch.number,
            epochs=max_epochs(self.settings),
            step=step,
            steps=steps,
            loss=loss,
            lr=epoch.learning_rate,
            stage=epoch.stage,
            seconds=round(seconds, 3),
            images_per_second=round(images / seconds, 1),
        )

    def _autocast(self) -> AbstractContextManager[None]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16")


_RUNNING = ("running_mean", "running_var")
_NO_VALIDATION = "no validation set: all epochs are trained and the last one is kept"


def main(arguments: Sequence[str]) -> None:
    """Run the training job in the file named on the command line."""
    job = TrainJob.model_validate_json(Path(arguments[0]).read_text(encoding="utf-8"))
    prepare_process(job.coordinator, job.threads)
    train(job)


def train(job: TrainJob) -> None:
    """Train the job's network with the other ranks, if there are any."""
    distributed.init()
    try:
        Trainer(job).run()
    finally:
        distributed.shutdown()


def _plan(job: TrainJob) -> CardPlan:
    return CardPlan(
        recipe_sha256=job.recipe.sha256,
        manifest_sha256=sha256_file(job.manifest),
        classes=job.classes,
        seed=job.seed,
        round=job.round,
        ranks=distributed.size(),
        threads=job.threads,
    )


def _starting_network(job: TrainJob) -> GalaxyNetwork:
    network = build_network(job.recipe.network, len(job.classes), stream_seed("weights", job.seed, job.round))
    if job.resume_from is None:
        load_starting_weights(network)
        distributed.broadcast_([tensor for tensor in network.state_dict().values() if tensor.is_floating_point()])
    return network


def _adam(network: GalaxyNetwork, recipe: Recipe) -> torch.optim.Optimizer:
    """Make the optimiser: Adam as in the paper, or AdamW with weight decay, which Adam would mix into its moments."""
    settings = recipe.training
    if settings.weight_decay:
        return torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    return torch.optim.Adam(network.parameters(), settings.learning_rate)


if __name__ == "__main__":
    run_worker(main, sys.argv[1:])
