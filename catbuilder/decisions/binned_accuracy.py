"""Compute purity and completeness in bins of magnitude, size and colour, and compare the network with colour alone.

A test set's accuracy is an average over its own mix of galaxies, and a catalogue has another, fainter mix. So every bin
has its own counts, and a wide interval if it holds few objects.

Among galaxies with clean votes, colour alone ranks nearly nine of ten pairs of an elliptical and a spiral correctly. So
a network that has learned nothing but colour looks good; it fails on red spirals and blue ellipticals.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
from sklearn.metrics import roc_auc_score

from catbuilder.catalogue.connection import Connection
from catbuilder.core.resources import query
from catbuilder.decisions.measures import Metric, proportion

# r magnitude; radius as the survey measures it (Petrosian in SDSS, Kron in DES); colour g - r
VARIABLES = ("mag_r", "radius_arcsec", "g_r")

MAX_BINS = 5
MIN_OBJECTS = 20  # per bin, about; 20 objects give a proportion near 0.9 to within 0.15


def purity_and_completeness(
    truth: np.ndarray, predicted: np.ndarray, variable: str, values: np.ndarray, classes: tuple[str, ...]
) -> list[Metric]:
    """Compute purity and completeness of each class in bins of a variable.

    Purity is the fraction of right ones among the objects predicted to be of the class, completeness that among the
    objects truly of it.

    Parameters
    ----------
    truth, predicted : int (n,), index into the classes
    variable : its name
    values : float (n,), the variable of each object; an object without one (NaN) is in no bin
    """
    measured = np.isfinite(values)
    truth, predicted, values = truth[measured], predicted[measured], values[measured]
    edges = quantile_edges(values)
    # the last bin includes its upper end
    inside = np.minimum(np.searchsorted(edges, values, side="right") - 1, len(edges) - 2)
    metrics = []
    for i, (low, high) in enumerate(pairwise(edges)):
        here = inside == i
        for number, name in enumerate(classes):
            true, found = (truth == number) & here, (predicted == number) & here
            right = int((true & found).sum())
            metrics += [
                replace(found_metric, variable=variable, bin_low=float(low), bin_high=float(high))
                for found_metric in (
                    proportion("purity", right, int(found.sum()), 1.0, name),
                    proportion("completeness", right, int(true.sum()), 1.0, name),
                )
            ]
    return metrics


def quantile_edges(values: np.ndarray) -> np.ndarray:
    """Compute the edges of up to `MAX_BINS` bins with equally many values, about `MIN_OBJECTS` or more each.

    Too few values for two bins give one bin. Equal edges (from many equal values) are merged.
    """
    if not len(values):
        return np.empty(0)
    bins = min(MAX_BINS, max(1, len(values) // MIN_OBJECTS))
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))
    return edges if len(edges) > 1 else np.repeat(edges, 2)


def colour_metrics(
    truth: np.ndarray, predicted: np.ndarray, g_r: np.ndarray, classes: tuple[str, ...], split: float | None
) -> list[Metric]:
    """Compute the accuracy on red spirals and on blue ellipticals, and the AUC of colour alone (`colour_auc`).

    Returns nothing if the workspace has no classes named elliptical and spiral, or no object has a colour.

    Parameters
    ----------
    truth, predicted : int (n,), index into the classes
    g_r : float (n,), colour g - r, mag; NaN if not measured
    split : a galaxy of this colour or more is red, in the photometric system of `g_r`, mag; by default midway between
        the medians of the objects' own true classes
    """
    if not {"elliptical", "spiral"} <= set(classes):
        return []
    elliptical, spiral = classes.index("elliptical"), classes.index("spiral")
    measured = np.isfinite(g_r) & ((truth == elliptical) | (truth == spiral))
    truth, predicted, g_r = truth[measured], predicted[measured], g_r[measured]
    medians = {name: float(np.median(g_r[truth == classes.index(name)])) for name in _present(truth, classes)}
    split = split if split is not None else _between(medians)
    if split is None or not len(g_r):
        return []
    red_spirals, blue_ellipticals = (truth == spiral) & (g_r >= split), (truth == elliptical) & (g_r < split)
    right = predicted == truth
    metrics = [
        replace(_share("spiral", right[red_spirals]), variable="red spiral", bin_low=split),
        replace(_share("elliptical", right[blue_ellipticals]), variable="blue elliptical", bin_high=split),
    ]
    if len(medians) == 2:
        # ellipticals are the redder ones
        alone = float(roc_auc_score(truth == elliptical, g_r))
        metrics.append(Metric("colour_auc", alone, len(truth), 1.0, variable="g_r"))
    return metrics


def training_splits(con: Connection, round_number: int) -> dict[str, float]:
    """Compute the colour g - r that separates red from blue, by survey, from a round's training objects.

    It is midway between the medians of ellipticals and spirals, mag. Each survey has its own split, from its own
    photometry of the training objects or of their matched counterparts. A survey without colours of both classes is
    left out; test sets with its photometry are then split by their own medians. Promoted labels do not count, so the
    split depends on people's labels and not on the network.
    """
    medians: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for measured_by, label, g_r in con.execute(query("decisions/training_colours"), {"round": round_number}).fetchall():
        medians[measured_by][label] = g_r
    splits = {survey: _between(of_survey) for survey, of_survey in medians.items()}
    return {survey: split for survey, split in splits.items() if split is not None}


def _between(medians: Mapping[str, float]) -> float | None:
    if not {"elliptical", "spiral"} <= set(medians):
        return None
    return (medians["elliptical"] + medians["spiral"]) / 2


def _present(truth: np.ndarray, classes: tuple[str, ...]) -> list[str]:
    return [classes[number] for number in np.unique(truth)]


def _share(label: str, right: np.ndarray) -> Metric:
    return proportion("accuracy", int(right.sum()), len(right), 1.0, label)
