"""t-SNE of the features of HP and the pool (figure 5 of Khan et al. 2019), and measures of their overlap.

A t-SNE shows real clusters and spurious ones, so the report adds two numbers measured on the features themselves: the
AUC of a classifier between two groups, and the mixing of nearest neighbours. Test galaxies measure the accuracy on the
pool only as far as the pool looks like them.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from catbuilder.catalogue.features import features_of
from catbuilder.decisions.sample_shift import MIN_SAMPLE, two_sample_auc
from catbuilder.reports.data import ReportData, embedded_set
from catbuilder.reports.figure_style import MARKERS, MUTED, PAGE_INCHES, class_colour, legend_columns
from catbuilder.reports.page_parts import Drawing, Part, ReportSection, ReportTable, missing_part

Features = npt.NDArray[np.float32]
Places = npt.NDArray[np.float64]

_MOST = 500  # objects per group: t-SNE of three groups takes some seconds
_COMPONENTS = 50  # of the PCA before the t-SNE, which saves time; van der Maaten and Hinton (2008) use 30
_PERPLEXITY = 30.0
_STEPS = 750
_NEIGHBOURS = 10
_SEED = 0


def embedding_section(data: ReportData) -> ReportSection:
    """Make the section with the t-SNE of HP in each survey and of the pool, and measures of their overlap."""
    return ReportSection("features", "Features of test sets and pool", list(_embedding(data)))


def _embedding(data: ReportData) -> Iterator[Part]:
    if data.featured is None:
        yield missing_part(
            "No t-SNE: there are no features of this round under rounds/; each round keeps those of test and "
            "calibration objects and of a sample of the pool ([scoring] pool_features)"
        )
        return
    groups = _groups(data, data.featured)
    few = [name for name, (features, _) in groups.items() if len(features) < MIN_SAMPLE]
    large = {name: group for name, group in groups.items() if name not in few}
    if len(large) < 2:
        yield missing_part(
            f"No t-SNE: features of {MIN_SAMPLE} objects or more are needed in two groups of HP and the pool, and "
            "there are "
            + (", ".join(f"{len(groups[name][0])} of {name}" for name in groups) or "none")
            + "; declare a test set with catbuilder testset, and ingest a pool with --split pool"
        )
        return
    yield _drawing(data, large)
    yield _overlap(data, large)
    if few:
        yield missing_part(f"No points of samples with fewer than {MIN_SAMPLE} objects with features: {', '.join(few)}")


def _groups(data: ReportData, objects: pa.Table) -> dict[str, tuple[Features, list[str]]]:
    """Read features and classes of at most `_MOST` objects for each survey of the test set, and for the pool."""
    scores = data.test_scores.get(data.model)
    test_set = embedded_set([] if scores is None else sorted(set(scores["test_set"].to_pylist()), reverse=True))
    kinds = np.array(
        ["pool" if part == "pool" else f"{test_set} {survey.upper()}"
         for part, survey in zip(objects["part"].to_pylist(), objects["survey"].to_pylist(), strict=True)],
        dtype=object,
    )  # fmt: skip
    groups = {}
    for name in sorted(set(kinds), key=lambda kind: (kind == "pool", kind)):
        own = objects.filter(pa.array(kinds == name, pa.bool_()))
        drawn = np.sort(np.random.default_rng(_SEED).permutation(own.num_rows)[:_MOST])
        own = own.take(pa.array(drawn))
        features, known = features_of(data.workspace, data.model, own)
        groups[name] = (features, [label for label, here in zip(own["class"].to_pylist(), known, strict=True) if here])
    return groups


def _drawing(data: ReportData, groups: dict[str, tuple[Features, list[str]]]) -> Drawing:
    features = np.concatenate([of_group for of_group, _ in groups.values()])
    perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
    # on one thread: another order of the sums would place the points differently
    with threadpool_limits(1):
        reduced = PCA(min(_COMPONENTS, *features.shape), random_state=_SEED).fit_transform(features)
        embedding = TSNE(perplexity=perplexity, init="pca", random_state=_SEED, max_iter=_STEPS, n_jobs=1)
        places = embedding.fit_transform(reduced)
    sizes = {name: len(of_group) for name, (of_group, _) in groups.items()}
    said = ", ".join(f"{n:,} of {name}" for name, n in sizes.items())
    return Drawing(
        "tsne",
        f"t-SNE (van der Maaten and Hinton 2008, perplexity {perplexity:.0f}) of the {features.shape[1]} features of "
        f"round {data.model}: {said}, embedded together; in each panel the others are grey. Test objects have the "
        "colour of their true class, pool objects that of the predicted one. Distances between clusters mean nothing.",
        f"t-SNE of {said}, coloured by class.",
        partial(
            _draw, places=places, groups={name: classes for name, (_, classes) in groups.items()}, classes=data.classes
        ),
        "png",
    )


def _draw(places: Places, groups: dict[str, list[str]], classes: tuple[str, ...]) -> Figure:
    figure = Figure(figsize=(PAGE_INCHES, PAGE_INCHES / len(groups) + 0.6), layout="constrained")
    panels = figure.subplots(1, len(groups), squeeze=False, sharex=True, sharey=True)[0]
    start = 0
    for panel, (name, labels) in zip(panels, groups.items(), strict=True):
        own = np.arange(start, start + len(labels))
        others = np.setdiff1d(np.arange(len(places)), own)
        panel.scatter(*places[others].T, s=3, color=MUTED, linewidths=0)
        named = np.array(labels, dtype=object)
        for place, label in enumerate(classes):
            colour, marker = class_colour(place, len(classes)), MARKERS[place % len(MARKERS)]
            panel.scatter(*places[own[named == label]].T, s=8, linewidths=0, alpha=0.85, color=colour, marker=marker,
                          label=label)  # fmt: skip
        panel.set(title=f"{name} ({len(labels):,})", xticks=[], yticks=[], xlabel="t-SNE 1")
        panel.set_box_aspect(1)
        start += len(labels)
    panels[0].set_ylabel("t-SNE 2")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=legend_columns(classes),
        markerscale=1.8,
    )  # fmt: skip
    return figure


def _overlap(data: ReportData, groups: dict[str, tuple[Features, list[str]]]) -> ReportTable:
    names, rows = list(groups), []
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            a, b = groups[first][0], groups[second][0]
            auc = two_sample_auc(a, b, _SEED)
            told = f"{auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}]"
            rows.append((f"{first} and {second}", f"{len(a):,}, {len(b):,}", told, f"{_mixing(a, b):.2f}"))
    return ReportTable(
        "Overlap of the groups, measured on the features. AUC: area under the ROC curve of a classifier between the "
        "two (0.5: inseparable; 1: separable), as in the shift meters. Mixing: share of the other group among the "
        f"{_NEIGHBOURS} nearest neighbours, over its value for mixed groups (1: mixed; 0: apart).",
        ("Groups", "n", "AUC", "Mixing"),
        rows,
    )


def _mixing(a: Features, b: Features) -> float:
    """Compute the share of nearest neighbours from the other group, over its expectation, for groups of equal size."""
    n = min(len(a), len(b))
    both = np.concatenate([a[:n], b[:n]]).astype(np.float64)
    both = PCA(min(_COMPONENTS, *both.shape), random_state=_SEED).fit_transform(both)
    near = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, 2 * n - 1)).fit(both).kneighbors(return_distance=False)
    other = (near >= n) != (np.arange(2 * n) >= n)[:, None]
    return float(other.mean() / (n / (2 * n - 1)))
