"""Warn if class and image rendering are correlated in the training set, so that a network may learn the rendering.

Example: one archive rendered 1,500 spirals, and another 1,517 galaxies of both classes. The background level of the
first archive is then the best sign of a spiral, and the network will call every elliptical of that archive a spiral. A
validation set drawn from the same objects does not show this, so catbuilder warns before and after training. It is a
warning and not a fault, because only the user knows whether images of all classes in one rendering are available.
"""

from collections import Counter

import numpy as np
from scipy.stats.contingency import association

from catbuilder.catalogue.connection import Connection
from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.core.resources import query

# With fewer galaxies the shares of a rendering are chance, and a network hardly sees it.
MIN_OBJECTS = 50

# Cramér's V is 0 if every rendering has the same shares of the classes, and 1 if the rendering determines the class.
# For two renderings of equal size with opposite shares, a guess from the rendering alone is right in (1 + V) / 2 of the
# cases: 65 % at 0.3, against 50 % for a coin. By chance 20 renderings of 50 objects reach 0.14.
MAX_ASSOCIATION = 0.3

# A rendering of a single class deserves a warning however few objects it has (few keep V low), because the network will
# assign that class to every pool object of that rendering. 95 % allows for wrong labels. In the other renderings the
# share of the class must be lower by 0.2; otherwise the whole sample is one-sided, whatever the rendering.
ONE_CLASS_SHARE = 0.95
RARER_ELSEWHERE = 0.2


def rendering_warnings(con: Connection, round_number: int | None) -> dict[str, str]:
    """Find renderings of a training set that are correlated with a class, with a warning about each.

    Parameters
    ----------
    round_number : the training set of this round; None for the objects that would be trained on now
    """
    counts: dict[str, Counter[str]] = {}
    con.execute("CREATE OR REPLACE TEMP TABLE looked_at AS "
                "SELECT survey, object_id FROM labels UNION SELECT survey, object_id FROM training")  # fmt: skip
    with restricted_to(con, "looked_at"):
        found = con.execute(query("sets/rendering_classes"), {"round": round_number}).fetchall()
    for rendering, name, objects in found:
        counts.setdefault(rendering, Counter())[name] = objects
    whole = sum(counts.values(), Counter[str]())
    suspects = [name for name, own in counts.items() if own.total() >= MIN_OBJECTS and _one_class(own, whole - own)]
    measured = cramers_v(counts)
    if not suspects and measured > MAX_ASSOCIATION:
        suspects = [max(_large(counts), key=lambda name: _unlike(counts[name], whole))]
    return {name: _sentence(name, counts[name], whole - counts[name], measured) for name in suspects}


def cramers_v(counts: dict[str, Counter[str]]) -> float:
    """Compute Cramér's V (1946) of rendering and class, 0 to 1, over renderings of `MIN_OBJECTS` or more.

    It is 0 if fewer than two such renderings or two classes are left.

    Parameters
    ----------
    counts : number of objects of each class, by rendering
    """
    kept = [counts[name] for name in _large(counts)]
    classes = sorted({name for own in kept for name in own})
    if len(kept) < 2 or len(classes) < 2:
        return 0.0
    return float(association(np.array([[own[name] for name in classes] for own in kept], np.int64), method="cramer"))


def _large(counts: dict[str, Counter[str]]) -> list[str]:
    return [name for name, own in counts.items() if own.total() >= MIN_OBJECTS]


def _one_class(own: Counter[str], elsewhere: Counter[str]) -> bool:
    name, objects = own.most_common(1)[0]
    share = objects / own.total()
    return (
        elsewhere.total() > 0
        and share >= ONE_CLASS_SHARE
        and share - elsewhere[name] / elsewhere.total() >= RARER_ELSEWHERE
    )


def _unlike(own: Counter[str], whole: Counter[str]) -> float:
    """Compute a rendering's contribution to chi squared, for the class shares of the whole sample."""
    expected = {name: own.total() * objects / whole.total() for name, objects in whole.items()}
    return sum((own[name] - value) ** 2 / value for name, value in expected.items())


def _sentence(rendering: str, own: Counter[str], elsewhere: Counter[str], measured: float) -> str:
    rare = [name for name in elsewhere if own[name] / own.total() < elsewhere[name] / elsewhere.total()]
    # with a single large rendering there is no association to measure
    strength = f" (Cramér's V {measured:.2f})" if measured else ""
    return (
        f"class and rendering go together{strength}: '{rendering}' has {_listed(own, elsewhere)}, "
        f"the others {_listed(elsewhere, own)}, so the network may learn the rendering instead of the galaxy; add "
        f"{' and '.join(sorted(rare))} in this rendering, or leave it out (ingest its table again with --split none)"
    )


def _listed(own: Counter[str], other: Counter[str]) -> str:
    return " and ".join(f"{own[name]:,} {name}" for name in sorted(set(own) | set(other)))
