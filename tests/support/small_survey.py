"""A survey small enough to run whole rounds on in seconds: drawn with numpy, brought in as a user would."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from support.new_workspace import create_workspace
from support.workspaces import write_scores

from catbuilder.catalogue.round_records import RoundPlan, record_step
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.decisions.calibration_set import record_calibrator
from catbuilder.decisions.evaluate import evaluate_round, record_metrics
from catbuilder.decisions.promote import Decisions, decide, record_decisions
from catbuilder.ingest.images import IngestReport, ingest_images
from catbuilder.rounds.scoring import record_scores
from catbuilder.sets.testsets import add_test_set

CLASSES = ("elliptical", "spiral")
PIXELS = 80  # of a source image; the stamps have 64

RECIPE = """
name = "tiny"
[network]
backbone = "test_efficientnet"
weights = "none"
image_size = 32
hidden = 16
dropout = 0.2
[training]
batch_size = {batch_size}
learning_rate = 2e-3
warmup_epochs = 0
scale_rate = false
channels_last = false
tries = 1
[[training.stages]]
epochs = {epochs}
train_from = "all"
[augmentation]
shift = 0.1
zoom = 0.1
noise = 0.05
[validation]
fraction = 0.2
[scoring]
batch_size = {scored_at_once}
symmetries = {symmetries}
[promotion]
policy = "{policy}"
per_class = {per_class}
threshold = {threshold}
floor = {floor}
"""


def write_recipe(path: Path, **changes: object) -> Path:
    """Write a recipe of two epochs; `changes` fill the places in `RECIPE`."""
    values = {"epochs": 2, "batch_size": 8, "scored_at_once": 16, "symmetries": 2, "policy": "top_k", "per_class": 6}
    path.write_text(RECIPE.format(**values | {"threshold": 0.9, "floor": 0.5} | changes))
    return path


@dataclass(frozen=True)
class Source:
    """An object as a table lists it; `ra` None leaves the position empty."""

    object_id: int
    ra: float | None = None
    dec: float | None = None
    label: str = ""
    domain: str = ""
    split: str = ""


def draw(kind: str, seed: int) -> np.ndarray:
    """A galaxy with companions and noise, as unlike any other as a real one: uint8 (PIXELS, PIXELS, 3)."""
    rng = np.random.default_rng([seed, CLASSES.index(kind)])
    y, x = np.mgrid[:PIXELS, :PIXELS] - (PIXELS - 1) / 2
    angle, ratio = rng.uniform(0, np.pi), rng.uniform(0.55, 1.0)
    along, across = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle)) / ratio
    radius, turn = np.hypot(along, across), np.arctan2(across, along)
    size = rng.uniform(8, 12)
    light = np.exp(-radius / size)
    if kind == "spiral":
        light *= 0.4 + np.cos(turn - np.log1p(radius) * rng.uniform(2.5, 4)) ** 2
    for _ in range(rng.integers(4, 9)):
        to_x, to_y = rng.uniform(-34, 34, 2)
        light += rng.uniform(0.1, 0.4) * np.exp(-((x - to_x) ** 2 + (y - to_y) ** 2) / rng.uniform(3, 14))
    colour = np.array([1.0, 0.8, 0.55] if kind == "elliptical" else [0.7, 0.8, 1.0])
    return (18 + 170 * light[..., None] * colour + rng.normal(0, 5, (PIXELS, PIXELS, 3))).clip(0, 255).astype(np.uint8)


def write_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_csv(path: Path, rows: Sequence[dict[str, object]]) -> Path:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def bring_in(
    workspace: Workspace, folder: Path, survey: str, sources: Sequence[tuple[Source, np.ndarray]], **options: object
) -> IngestReport:
    """Write the images and their table, and ingest them by the library's own call."""
    rows: list[dict[str, object]] = []
    for source, pixels in sources:
        write_image(folder / f"{source.object_id}.png", pixels)
        row = {"object_id": source.object_id, "file": f"{source.object_id}.png"} | vars(source)
        rows.append({name: "" if value is None else value for name, value in row.items()})
    table = write_csv(folder / "table.csv", rows)
    return ingest_images(workspace, folder, table, survey=survey, **options)  # type: ignore[arg-type]


# First ids of each set; those of SDSS lie beyond what a float can hold.
TRAIN, HP_SDSS = 587724240151700000, 587724240151800000
HP_DES, CALIBRATION, POOL = 310500000, 310600000, 310700000
N_TRAIN, N_HP, N_CALIBRATION, N_POOL = 100, 24, 12, 120
STARS, BLANKS = 4, 4  # at the end of the pool


def build(folder: Path) -> Workspace:
    """The whole survey in `folder/ws`: every set in its place, the test sets declared before anything is ingested."""
    workspace = create_workspace(folder / "ws", CLASSES, 64)
    kinds = [CLASSES[i % 2] for i in range(N_POOL)]
    for survey, first in (("sdss", HP_SDSS), ("des", HP_DES)):
        truth = write_csv(folder / "hp.csv", [{"object_id": first + i, "label": kinds[i]} for i in range(N_HP)])
        add_test_set(workspace, "HP", truth, survey=survey)
    train = [(Source(TRAIN + i, 100 + i, 2.0, kinds[i]), draw(kinds[i], 1000 + i)) for i in range(N_TRAIN)]
    bring_in(workspace, folder / "train", "sdss", train)
    hp = [draw(kinds[i], 2000 + i) for i in range(N_HP)]
    for survey, first in (("sdss", HP_SDSS), ("des", HP_DES)):
        shift = 0.1 / 3600 if survey == "des" else 0.0
        members = [(Source(first + i, 100 + i, 12 + shift), hp[i]) for i in range(N_HP)]
        bring_in(workspace, folder / f"hp-{survey}", survey, members)
    calibration = [
        (Source(CALIBRATION + i, 100 + i, 22.0, kinds[i]), draw(kinds[i], 3000 + i)) for i in range(N_CALIBRATION)
    ]
    bring_in(workspace, folder / "calibration", "des", calibration, split="calibration")
    pool = []
    for i in range(N_POOL):
        star, blank = i >= N_POOL - STARS, N_POOL - STARS - BLANKS <= i < N_POOL - STARS
        pixels = draw(kinds[i], 4000 + i) * (not blank)
        pool.append((Source(POOL + i, 100 + i, 32.0, domain="star" if star else ""), pixels.astype(np.uint8)))
    bring_in(workspace, folder / "pool", "des", pool, split="pool")
    return workspace


def finish_by_hand(workspace: Workspace, plan: RoundPlan, spiral: Mapping[tuple[str, int], float]) -> Decisions:
    """Close a planned round with scores of our own choice (posterior of spiral by object) in place of a network's."""
    number = plan.round
    with workspace.recording("trained to evaluated") as recording:
        record_scores_by_hand(recording, workspace, plan, spiral)
        decisions = decide(recording.con, workspace, plan)
        record_decisions(recording, plan, decisions)
        record_metrics(recording, evaluate_round(recording.con, number, CLASSES))
        for step in ("trained", "scored", "decided", "evaluated"):
            record_step(recording, number, step, f'{{"objects": {plan.scored}}}')
    with workspace.recording("closed") as recording:
        record_step(recording, number, "closed", "{}")
    return decisions


def record_scores_by_hand(
    recording: Recording, workspace: Workspace, plan: RoundPlan, spiral: Mapping[tuple[str, int], float]
) -> None:
    """Record a model of a planned round and such scores, and no step."""
    scores = {key: (1 - p, p) for key, p in spiral.items()}
    file = write_scores(workspace.round_folder(plan.round) / "scores" / "scores-00000.parquet", CLASSES, scores)
    recording.con.execute(
        "INSERT INTO models VALUES (?, 'by hand', '', '', 'none', 0, 1, 1, 0.5, ?, ?, false)",
        [plan.round, plan.round, recording.run],
    )
    record_calibrator(recording, plan, [file])
    record_scores(recording, plan, [file], plan.round)
