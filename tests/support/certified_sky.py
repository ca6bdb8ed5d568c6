"""A sky whose truth is known, in a workspace with calibration objects and a pool, and rounds that certify it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from support.workspaces import RECIPE, add_events, add_objects, ask, close_round, label_event

from catbuilder.catalogue.round_records import read_plan
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.recipe import Recipe, Teaching
from catbuilder.decisions.certificate_check import check_certificates

CLASSES = ("elliptical", "spiral")
CALIBRATION, POOL = 10_000, 50_000  # first ids
N_CALIBRATION, N_POOL = 1200, 800


def certified(teaching: Teaching | None = None, **changes: object) -> Recipe:
    """A recipe that certifies 5 per cent in one round, with changes to its section [certificate]."""
    certificate = RECIPE.certificate.model_copy(update={"rounds": 1, "audit": 5, **changes})
    promotion = RECIPE.promotion.model_copy(update={"policy": "certified"})
    return RECIPE.model_copy(update={"certificate": certificate, "promotion": promotion, "teaching": teaching})


def sky(seed: int, n: int, separation: float, spirals: float) -> tuple[np.ndarray, np.ndarray]:
    """Classes, and posteriors of spiral of a network that was trained on as many of one as of the other."""
    rng = np.random.default_rng(seed)
    spiral = rng.random(n) < spirals
    x = rng.normal(size=n) + separation * (spiral - 0.5)
    return spiral, 1 / (1 + np.exp(-separation * x))


class Sky:
    """A workspace with calibration and pool, and the scores that a network gives them."""

    def __init__(self, workspace: Workspace, separation: float = 4.0, spirals: float = 0.5) -> None:
        self.workspace = workspace
        truth, p = sky(0, N_CALIBRATION + N_POOL, separation, spirals)
        ids = [*range(CALIBRATION, CALIBRATION + N_CALIBRATION), *range(POOL, POOL + N_POOL)]
        self.truth = {("des", n): CLASSES[int(spiral)] for n, spiral in zip(ids, truth, strict=True)}
        self.scores = {("des", n): (1 - q, q) for n, q in zip(ids, p, strict=True)}

    def record(self) -> "Sky":
        ids = [n for _, n in self.scores]
        splits = ["calibration"] * N_CALIBRATION + ["pool"] * N_POOL
        with self.workspace.recording("sky") as recording:
            add_objects(recording, "des", ids, split=splits, domain="in")
            events = [label_event("des", n, self.truth["des", n], "galaxy_zoo") for n in ids[:N_CALIBRATION]]
            add_events(recording, *events)
        return self

    def round(self, recipe: Recipe, scores: Mapping[tuple[str, int], tuple[float, float]] | None = None) -> int:
        return close_round(self.workspace, scores or self.scores, recipe=recipe, by_policy=True)

    def blurred(self, seed: int, sigma: float = 2.0) -> dict[tuple[str, int], tuple[float, float]]:
        """Scores of another network, which has other errors."""
        rng = np.random.default_rng(seed)
        p = np.array([q for _, q in self.scores.values()]).clip(1e-12, 1 - 1e-12)
        spiral = 1 / (1 + np.exp(-np.log(p / (1 - p)) + rng.normal(0, sigma, len(p))))
        return {key: (1 - q, q) for key, q in zip(self.scores, spiral.tolist(), strict=True)}

    def wrong(self, certificate: str) -> int:
        """Labels under a certificate that are wrong by the truth."""
        text = "SELECT survey, object_id, label FROM labels WHERE certificate = ? AND kind = 'label'"
        found = ask(self.workspace, text, certificate)
        return sum(self.truth[survey, n] != label for survey, n, label in found)


def certificates(workspace: Workspace, number: int) -> dict[str, dict[str, Any]]:
    with workspace.reading() as con:
        rows = con.sql("SELECT * FROM certificates WHERE round = $n", params={"n": number}).to_arrow_table().to_pylist()
    return {row["class"]: row for row in rows}


def faults(workspace: Workspace) -> list[str]:
    """What does not follow from the catalogue in the certificates of any round, as `check` finds it."""
    with workspace.reading() as con:
        rounds = con.execute("SELECT DISTINCT round FROM steps WHERE step = 'decided' ORDER BY round").fetchall()
        return [fault for (number,) in rounds for fault in check_certificates(con, read_plan(con, number))]
