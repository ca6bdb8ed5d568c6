"""The coordinator's side of `precision = "auto"`: both are tried when a round is planned; the plan keeps the answer.

No rule would do: on one and the same CPU bf16 trains Xception several times faster than fp32 and EfficientNet-lite0
slower. Two plans made of the same recipe may come out differently where both are about as fast; a recipe that is to
give the same catalogue again pins the precision, as the shipped ones do.
"""

import os
import tempfile
from pathlib import Path

from catbuilder.core.files import write_text
from catbuilder.core.recipe import Recipe
from catbuilder.network.jobs import ProbeJob, ProbeResult
from catbuilder.rounds.launch.processes import Worker, run_all, thread_settings


def settle_precision(recipe: Recipe, classes: int, threads: int, folder: Path) -> tuple[Recipe, str]:
    """The recipe with fp32 or bf16 wherever it says "auto", and a sentence about it; tries them out if need be."""
    if "auto" not in (recipe.training.precision, recipe.scoring.precision):
        return recipe, ""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        job = ProbeJob(
            recipe=recipe, classes=classes, threads=threads, coordinator=os.getpid(), answer=Path(place) / "answer.json"
        )
        write_text(Path(place) / "job.json", job.model_dump_json())
        worker = Worker(
            "catbuilder.network.precision_probe",
            Path(place) / "job.json",
            Path(place) / "probe.log",
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
