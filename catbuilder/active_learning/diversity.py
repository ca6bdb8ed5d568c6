"""Choose representative objects by their features: TypiClust and k-centre greedy.

With few labels, the uncertainty of a classifier says little. Then it is better to label objects in dense regions of
feature space (TypiClust), or objects that leave no region far from a label (k-centre greedy). Both normalise the
features: the length of a feature vector depends on brightness and contrast more than on the class.
"""

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances, pairwise_distances_argmin_min
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

NEIGHBOURS = 20  # over which typicality is averaged: the paper's number
MOST_CLUSTERS = 500  # the paper's number: more clusters would be too small
LEAST_OF_A_CLUSTER = 5  # objects on average


def choose_typical(features: Floats, labelled: Bools, n: int, seed: int = 0) -> Ints:
    """Choose the most typical unlabelled objects of the largest clusters with the fewest labels (TypiClust).

    k-means makes as many clusters as there will be labels. The most typical object has the smallest mean distance to
    its 20 nearest neighbours in the cluster (Hacohen, Dekel & Weinshall 2022, arXiv:2202.02794). One object is taken
    from each cluster in turn.

    Parameters
    ----------
    features : float (m, d)
    labelled : bool (m,)
    n : number of objects to choose

    Returns
    -------
    indices of the chosen objects, int (n,)
    """
    directions = normalize(features)
    most = max(1, min(MOST_CLUSTERS, len(features) // LEAST_OF_A_CLUSTER))
    clusters = KMeans(min(int(labelled.sum()) + n, most), n_init=1, random_state=seed).fit_predict(directions)
    waiting = {int(c): _by_typicality(directions, np.flatnonzero(clusters == c), labelled) for c in np.unique(clusters)}
    labels = {c: int(labelled[clusters == c].sum()) for c in waiting}
    chosen: list[int] = []
    while len(chosen) < n and (left := [c for c in waiting if waiting[c]]):
        cluster = min(left, key=lambda c: (labels[c], -len(waiting[c]), c))
        chosen.append(waiting[cluster].pop(0))
        labels[cluster] += 1
    return np.array(chosen, np.int64)


def choose_coverage(features: Floats, labelled: Bools, n: int) -> Ints:
    """Choose unlabelled objects, each the farthest from all labelled and already chosen ones (k-centre greedy).

    This is the greedy 2-approximation of the k-centre problem (Gonzalez 1985; for active learning Sener & Savarese
    2018, arXiv:1708.00489). Without labels it starts with the object nearest to the mean.

    Parameters
    ----------
    features : float (m, d)
    labelled : bool (m,)
    n : number of objects to choose

    Returns
    -------
    indices of the chosen objects, int (n,)
    """
    directions = normalize(features)
    candidates = np.flatnonzero(~labelled)
    points = directions[candidates]
    if labelled.any():
        _, distance = pairwise_distances_argmin_min(points, directions[labelled])
    else:
        distance = -pairwise_distances(points, directions.mean(0, keepdims=True))[:, 0]
    chosen: list[int] = []
    for _ in range(min(n, len(candidates))):
        place = int(distance.argmax())
        chosen.append(int(candidates[place]))
        from_it = pairwise_distances(points, points[place : place + 1])[:, 0]
        distance = np.minimum(distance, from_it) if labelled.any() or len(chosen) > 1 else from_it
        distance[place] = -np.inf
    return np.array(chosen, np.int64)


def _by_typicality(directions: Floats, members: Ints, labelled: Bools) -> list[int]:
    """Sort the unlabelled members of a cluster, the most typical first."""
    k = min(NEIGHBOURS, len(members) - 1)
    if k == 0:
        distance = np.zeros(len(members))
    else:
        search = NearestNeighbors(n_neighbors=k).fit(directions[members])
        distance = search.kneighbors()[0].mean(axis=1)  # without itself
    order = np.argsort(distance, kind="stable")
    return [int(members[i]) for i in order if not labelled[members[i]]]
