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
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined]  # not in its list of names
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from catbuilder.core.errors import ConfigError, NothingToTrain
from catbuilder.core.files import sha256_file
from catbuilder.core.recipe import Recipe
from catbuilder.network import distributed
from catbuilder.network.augment import augment, geometry, survey_view
from catbuilder.network.batches import (
    Positions,
    epoch_batches,
    mixed_batches,
    ordered_batches,
    read_ahead,
    stream,
    stream_seed,
)
from catbuilder.network.checkpoint import State, load_checkpoint, save_checkpoint, save_model, state_copy
from catbuilder.network.examples import Examples
from catbuilder.network.galaxy_network import GalaxyNetwork, build_network, set_trainable_from, train_mode
from catbuilder.network.jobs import TrainJob
from catbuilder.network.model_card import CardPlan, EpochResult, ModelCard, TrainingSummary
from catbuilder.network.schedule import Epoch, kept_epoch, max_epochs, next_epoch
from catbuilder.network.starting_weights import load_starting_weights
from catbuilder.network.worker import EventLog, prepare_process, run_worker


class Trainer:
    """Trains the network on one rank."""

    def __init__(self, job: TrainJob) -> None:
        self.job, self.recipe = job, job.recipe
        self.settings = job.recipe.training
        self.device = distributed.device()
        self.rank, self.ranks = distributed.rank(), distributed.size()
        self.training, self.validation = Examples(job, "training", "teaching"), Examples(job, "validation")
        self.labelled, self.taught = self.training.counts
        if not self.labelled:
            raise NothingToTrain(f"{job.manifest} has no training rows; label or ingest more objects")
        self.plan = _plan(job)
        self.network = _starting_network(job).to(self.device)
        if self.settings.channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)
        self.optimiser = _adam(self.network, self.recipe)
        self.average = _moving_average(self.network, self.settings.ema)
        # keyed by the round, the same seed trains another network in every round
        self.place = (job.seed, job.round if self.settings.streams == "round" else 0)
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
            training=self.labelled,
            taught=self.taught,
            validation=len(self.validation),
            ranks=self.ranks,
            threads=self.job.threads,
            device=str(self.device),
            note="" if len(self.validation) else _NO_VALIDATION,
        )
        while epoch := next_epoch(self.settings, self.ranks, self._losses()):
            self._one_epoch(epoch)
        best = kept_epoch(self.settings, self._losses())
        if self.rank == 0:
            card = ModelCard(recipe=self.recipe, plan=self.plan, best_epoch=best, history=self.history)
            save_model(self.job.folder / "model.safetensors", self.best, card)
        self.log.write("end", epochs_done=len(self.history), best_epoch=best, validation_loss=self._losses()[best])
        distributed.barrier()  # no rank exits before the model is on disk

    def _resume(self) -> None:
        if self.job.resume_from is not None:
            found, self.best = load_checkpoint(
                self.job.resume_from, self.plan, self.network, self.optimiser, self.average
            )
            self.history = found.history

    def _losses(self) -> list[float | None]:
        return [result.validation_loss for result in self.history]

    def _one_epoch(self, epoch: Epoch) -> None:
        set_trainable_from(self.network, self.settings.stages[epoch.stage].train_from)
        for group in self.optimiser.param_groups:
            group["lr"] = epoch.learning_rate * group.get("lr_scale", 1.0)
        gradients = distributed.GradientAverager(self.network.parameters(), self.settings.gradient_groups)
        loss = self._train(epoch, gradients)
        gradients.close()
        # Each rank saw other images; average the batch statistics, so that all ranks validate and save one network.
        for network in {id(n): n for n in (self.network, self.final)}.values():
            buffers = network.named_buffers()
            distributed.allreduce_mean_([b for name, b in buffers if name.split(".")[-1] in _RUNNING])
        result = EpochResult(epoch=epoch.number, stage=epoch.stage, learning_rate=epoch.learning_rate, loss=loss)
        self.history.append(self._validated(result))
        is_best = kept_epoch(self.settings, self._losses()) == epoch.number
        if is_best:
            self.best = state_copy(self.final)
        if self.rank == 0:
            found = TrainingSummary(plan=self.plan, history=self.history)
            best = None if is_best else self.best
            save_checkpoint(self.job.folder, found, self.network, self.optimiser, self.average, best)
        self.log.write("epoch", epochs=max_epochs(self.settings), **self.history[-1].model_dump())

    def _train(self, epoch: Epoch, gradients: distributed.GradientAverager) -> float:
        """Train one epoch and give the mean loss over all ranks."""
        place = (*self.place, epoch.number)
        batches = self._batches(stream_seed("order", *place))
        train_mode(self.network, self.settings.batchnorm == "frozen")
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        self.log.restart_clock()
        for step, stamps in enumerate(read_ahead(self.training.reader, batches, self.device)):
            loss = self.step(stamps, batches[step], (*place, step, self.rank), gradients)
            total += loss
            if self.log.is_due():
                self._report(epoch, step + 1, len(batches), float(loss))
        mean = distributed.sum_scalars([float(total)])[0] / (len(batches) * self.ranks)
        if not math.isfinite(mean):
            raise ConfigError(f"the loss is not finite in epoch {epoch.number + 1}; lower training.learning_rate")
        return mean

    def _batches(self, order_seed: int) -> list[Positions]:
        size, teaching = self.settings.batch_size, self.recipe.teaching
        taught = self.taught or self.job.in_place_of
        if teaching is not None and taught:
            batches = mixed_batches(self.labelled, taught, size, teaching.share, self.rank, self.ranks, order_seed)
            return batches if self.taught else [batch % self.labelled for batch in batches]
        return epoch_batches(self.labelled, size, self.rank, self.ranks, order_seed)

    def step(
        self, stamps: Tensor, batch: Positions, place: tuple[int, ...], gradients: distributed.GradientAverager
    ) -> Tensor:
        """Train on the stored stamps of one batch, and give its loss."""
        images = self.network.prepare(stamps.to(self.device, non_blocking=True))
        images = self._augmented(images, batch, stream(self.device, "augmentation", *place))
        torch.manual_seed(stream_seed("dropout", *place))
        with self._autocast():
            logits = self.network(images)
        loss = self.training.loss(logits, batch, self.settings.label_smoothing)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        gradients.finish()
        self.optimiser.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return loss.detach()

    def _augmented(self, images: Tensor, batch: Positions, generator: torch.Generator) -> Tensor:
        """Augment images for a training step, those of the target survey without survey shift if the recipe says so."""
        settings = self.recipe.augmentation
        shifted = torch.from_numpy(self.training.surveys[batch] != self.recipe.sets.target).to(self.device)
        if settings.shift_target or bool(shifted.all()):
            return augment(images, settings, generator)
        augmented = torch.empty_like(images)
        unshifted = settings.model_copy(update={"magnify": 1.0})  # the crop is the target survey's own
        augmented[~shifted] = geometry(images[~shifted], unshifted, generator)
        if bool(shifted.any()):
            augmented[shifted] = augment(images[shifted], settings, generator)
        return augmented

    @property
    def final(self) -> GalaxyNetwork:
        """The network that is validated and kept: the average over steps, if there is one."""
        return self.network if self.average is None else cast(GalaxyNetwork, self.average.module)

    def _validated(self, result: EpochResult) -> EpochResult:
        if not len(self.validation):
            return result
        clean, accuracy, recall = self._validate(shifted=False)
        update: dict[str, object] = {
            "validation_loss": clean,
            "validation_clean": clean,
            "accuracy": accuracy,
            "recall": recall,
        }
        if self.recipe.validation.shifted:
            shifted, accuracy, _ = self._validate(shifted=True)
            update |= {"validation_loss": (clean + shifted) / 2, "validation_shifted": shifted}
            update["accuracy_shifted"] = accuracy
        return result.model_copy(update=update)

    @torch.inference_mode()
    def _validate(self, shifted: bool) -> tuple[float, dict[str, float], dict[str, float]]:
        """Compute the mean cross-entropy, the accuracy for each survey, and the recall of each class.

        Ranks take whole batches in turn, and a batch's survey shift depends only on its number: every epoch, on any
        number of ranks, sees the same images.
        """
        network = self.final.eval()
        batches = ordered_batches(0, len(self.validation), self.recipe.scoring.batch_size)
        mine = range(self.rank, len(batches), self.ranks)
        groups = {("survey", name): self.validation.surveys == name for name in sorted(set(self.validation.surveys))}
        groups |= {
            ("class", name): self.validation.labels == label
            for label, name in enumerate(self.job.classes)
            if np.any(self.validation.labels == label)
        }
        loss, right = 0.0, dict.fromkeys(groups, 0.0)
        ahead = read_ahead(self.validation.reader, [batches[number] for number in mine], self.device)
        for number, stamps in zip(mine, ahead, strict=True):
            images = network.prepare(stamps.to(self.device, non_blocking=True))
            if shifted:
                generator = stream(self.device, "validation", self.job.seed, number)
                images = survey_view(images, self.recipe.augmentation, generator)
            with self._autocast():
                logits = network(images).double().cpu()
            labels = torch.from_numpy(self.validation.labels[batches[number]])
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
            hits = (logits.argmax(1) == labels).numpy()
            for group, members in groups.items():
                right[group] += float(hits[members[batches[number]]].sum())
        loss, *all_right = distributed.sum_scalars([loss, *right.values()])
        shares = {
            group: hits / int(members.sum()) for (group, members), hits in zip(groups.items(), all_right, strict=True)
        }
        accuracy, recall = (
            {name: share for (kind, name), share in shares.items() if kind == wanted} for wanted in ("survey", "class")
        )
        return loss / len(self.validation), accuracy, recall

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
    place = (job.seed, job.round if job.recipe.training.streams == "round" else 0)
    network = build_network(job.recipe.network, len(job.classes), stream_seed("weights", *place))
    if job.resume_from is None:
        load_starting_weights(network)
        distributed.broadcast_([tensor for tensor in network.state_dict().values() if tensor.is_floating_point()])
    return network


def _adam(network: GalaxyNetwork, recipe: Recipe) -> torch.optim.Optimizer:
    """Make the optimiser: Adam as in the paper, or AdamW with weight decay, which Adam would mix into its moments."""
    settings = recipe.training
    groups: list[dict[str, Any]] = [{"params": list(network.parameters())}]
    if settings.layer_decay < 1:
        groups = param_groups_layer_decay(
            network.backbone, settings.weight_decay, no_weight_decay_list=(), layer_decay=settings.layer_decay
        )
        groups.append({"params": [*network.hidden_layers.parameters(), *network.classifier.parameters()]})
    if settings.weight_decay:
        return torch.optim.AdamW(groups, settings.learning_rate, weight_decay=settings.weight_decay)
    return torch.optim.Adam(groups, settings.learning_rate)


def _moving_average(network: GalaxyNetwork, decay: float) -> AveragedModel | None:
    """Make the exponential moving average of weights and buffers over steps; None if the recipe has none."""
    if not decay:
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


if __name__ == "__main__":
    run_worker(main, sys.argv[1:])
