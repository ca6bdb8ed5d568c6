"""The study of whom to ask: that it counts labels rightly, and tells a strategy that helps from one that does not."""

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts" / "study"))
import active_learning as study


def test_labels_are_counted_until_the_rising_curve_is_at_the_target():
    counts = np.array([20, 40, 60, 80])
    assert study.labels_until(counts, np.array([0.5, 0.7, 0.8, 0.9]), 0.8) == 60
    # a peak that does not last is no arrival: the rising curve through it is flat from there on
    assert study.labels_until(counts, np.array([0.5, 0.82, 0.7, 0.9]), 0.8) == 80
    assert study.labels_until(counts, np.array([0.5, 0.6, 0.6, 0.6]), 0.8) == 100, "never: a batch beyond the last"


def test_where_the_boundary_is_sharp_margin_needs_fewer_labels_than_random(tmp_path):
    rng = np.random.default_rng(3)

    def sample(n: int) -> study.Sample:
        x = rng.normal(0, 1, (n, 12))
        return study.Sample(x, (x[:, 0] + x[:, 1] > 0).astype(np.int64))

    samples = {"pool": sample(400), "validation": sample(300), "FO": sample(300)}
    options = argparse.Namespace(
        on="FO", seeds=2, survey="des", round=None, batch=20, labels=120, target=100
    )  # fmt: skip
    reduced = study.reduce_features(samples, 12)
    curves = list(study.run(reduced, tmp_path, 1.0, options))
    assert len((tmp_path / "curves.jsonl").read_text().splitlines()) == len(curves) == 2 * len(study.STRATEGIES)
    assert list(study.run(reduced, tmp_path, 1.0, options)) == curves, "the second time they are read"
    by = {name: np.mean([c["FO"][-1] for c in curves if c["strategy"] == name]) for name in study.STRATEGIES}
    assert by["margin"] > by["random"]
    told = "\n".join(study.table(curves, options, reduced, 1.0))
    assert "| random | " in told and "[1.00, 1.00]" in told


@pytest.mark.parametrize("strategy", study.STRATEGIES)
def test_every_strategy_asks_about_as_many_as_it_is_to_and_nobody_twice(strategy):
    rng = np.random.default_rng(0)
    pool = study.Sample(rng.normal(0, 1, (120, 5)), rng.integers(0, 2, 120))
    labelled = np.arange(120) < 30
    head = study.LogisticRegression().fit(pool.x[labelled], pool.y[labelled])
    asked = study.ask(strategy, pool, labelled, head, 15, 1.0, rng)
    assert len(set(asked.tolist())) == 15 and not labelled[asked].any()
