"""Choose between fp32 and bf16 for a recipe with `precision = "auto"`, by timing both on this machine.

A fixed rule does not work: on the same CPU, bf16 trains Xception several times faster than fp32, and EfficientNet-lite0
slower. The plan of the round keeps the choice. If both are about as fast, two plans of the same recipe may differ; a
recipe whose catalogue must be reproducible sets the precision itself, as the shipped recipes do.
"""

import os
import tempfile
from pathlib import Path

from catbuilder.core.files import write_text
from catbuilder.core.recipe import Recipe
from catbuilder.network.jobs import ProbeJob, ProbeResult
from catbuilder.rounds.launch.processes import Worker, run_all, thread_settings


def choose_precision(recipe: Recipe, classes: int, threads: int, folder: Path) -> tuple[Recipe, str]:
    """Replace each "auto" in the recipe by the faster of fp32 and bf16.

    Returns the recipe and a sentence about the timing; without any "auto", the same recipe and an empty text.
    """
    if "auto" not in (recipe.training.precision, recipe.scoring.precision):
        return recipe, ""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        folder = Path(name)
        job = ProbeJob(
            recipe=recipe, classes=classes, threads=threads, coordinator=os.getpid(), answer=folder / "answer.json"
        )
        write_text(folder / "job.json", job.model_dump_json())
        worker = Worker(
            "catbuilder.network.precision_probe",
            folder / "job.json",
            folder / "probe.log",
            thread_settings(threads),
        )
        run_all([worker], lambda: None)
        found = ProbeResult.model_validate_json(job.answer.read_text(encoding="utf-8"))
    changes: dict[str, object] = {}
    for part, precision in (("training", found.training), ("scoring", found.scoring)):
        if precision:
            changes[part] = getattr(recipe, part).model_copy(update={"precision": precision})
    took = ", ".join(f"{what} {seconds * 1000:.0f} ms" for what, seconds in found.seconds.items())
    answers = [f"{part} in {p}" for part, p in (("training", found.training), ("scoring", found.scoring)) if p]
    return recipe.model_copy(update=changes), f"{' and '.join(answers)} (a batch took: {took})"
