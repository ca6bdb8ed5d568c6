"""Worker process: measure whether fp32 or bf16 is faster on this machine.

Run it as `python -m catbuilder.network.precision_probe JOB.json`. It times fp32 and bf16 in turn on the same batch, a
training step or a forward pass, with the threads of the round.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F

from catbuilder.core.files import write_text
from catbuilder.network import distributed
from catbuilder.network.galaxy_network import GalaxyNetwork, build_network, set_trainable_from, train_mode
from catbuilder.network.jobs import ProbeJob, ProbeResult
from catbuilder.network.worker import prepare_process, run_worker

_REPEATS = 3  # after a warm-up; the fastest counts, since every disturbance makes a step slower
_WORTH = 0.9  # bf16 is less precise, so it is used only if it takes less than 0.9 of the time of fp32


def main(arguments: Sequence[str]) -> None:
    """Run the job in the file named on the command line."""
    job = ProbeJob.model_validate_json(Path(arguments[0]).read_text(encoding="utf-8"))
    prepare_process(job.coordinator, job.threads)
    network = build_network(job.recipe.network, job.classes).to(distributed.device())
    if job.recipe.training.channels_last:
        network = network.to(memory_format=torch.channels_last)
    found = ProbeResult()
    if job.recipe.training.precision == "auto":
        set_trainable_from(network, job.recipe.training.stages[-1].train_from)
        found.training = _faster("training", _step(network, job.recipe.training.batch_size), found.seconds)
    if job.recipe.scoring.precision == "auto":
        found.scoring = _faster("scoring", _forward(network, job.recipe.scoring.batch_size), found.seconds)
    write_text(job.answer, found.model_dump_json())


def _faster(what: str, work: Callable[[bool], None], seconds: dict[str, float]) -> str:
    best = {"fp32": float("inf"), "bf16": float("inf")}
    for repeat in range(_REPEATS + 1):  # in turn, so that a temporary load slows both
        for precision in best:
            started = time.perf_counter()
            work(precision == "bf16")
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if repeat:
                best[precision] = min(best[precision], time.perf_counter() - started)
    seconds.update({f"{what} {precision}": took for precision, took in best.items()})
    return "bf16" if best["bf16"] < _WORTH * best["fp32"] else "fp32"


def _step(network: GalaxyNetwork, batch_size: int) -> Callable[[bool], None]:
    images = _images(network, batch_size)
    labels = torch.zeros(batch_size, dtype=torch.int64, device=images.device)

    def step(bf16: bool) -> None:
        train_mode(network)
        network.zero_grad(set_to_none=True)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            logits = network(images)
        F.cross_entropy(logits, labels).backward()

    return step


def _forward(network: GalaxyNetwork, batch_size: int) -> Callable[[bool], None]:
    images = _images(network, batch_size)

    def forward(bf16: bool) -> None:
        network.eval()
        with torch.inference_mode(), torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            network(images)

    return forward


def _images(network: GalaxyNetwork, batch_size: int) -> torch.Tensor:
    size = network.settings.image_size
    return torch.rand(batch_size, 3, size, size).to(distributed.device())


if __name__ == "__main__":
    run_worker(main, sys.argv[1:])
