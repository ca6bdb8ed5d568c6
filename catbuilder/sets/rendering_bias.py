"""Does the class go with the rendering? Then a network may learn who drew the image instead of what is in it.

1,500 spirals that one archive drew, beside 1,517 galaxies of both classes that another drew: the surest way to tell
a spiral is then the background level of the first archive, and every elliptical that it ever draws becomes a spiral.
Nothing in a validation set drawn from the same objects shows it, so it is told before and after training. It is a
warning and no fault: only the user knows whether the classes can be had rendered alike.
"""

from collections import Counter

import numpy as np
from scipy.stats.contingency import association

from catbuilder.catalogue.connection import Connection
from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.core.resources import query

# Below this a rendering is a handful of galaxies whose shares are chance, and which a network hardly sees.
MIN_OBJECTS = 50

# Cramér's V is 0 where every rendering has the same shares of the classes, 1 where the rendering tells the class. For
# two renderings of equal size with opposite shares a guess from the rendering alone is right in (1 + V) / 2 of the
# cases: at 0.3 in 65 %, where a coin gives 50. By chance 20 renderings of 50 objects reach 0.14.
MAX_ASSOCIATION = 0.3

# One class in one rendering is worth a word however few objects of all it has (which keeps V low): all that the pool
# has of that rendering will be taken for the class. 95 % allows for wrong labels; elsewhere the class must be rarer by
# a fifth of all, else the sample as a whole is one-sided and no rendering is to blame.
ONE_CLASS_SHARE = 0.95
RARER_ELSEWHERE = 0.2


def rendering_warnings(con: Connection, round_number: int | None) -> dict[str, str]:
    """The renderings of a training set that go together with a class, with a sentence on each; mostly none.

    Parameters
    ----------
    round_number : the training set of this round; None for what would be trained on now
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
    measured = association_of(counts)
    if not suspects and measured > MAX_ASSOCIATION:
        suspects = [max(_large(counts), key=lambda name: _unlike(counts[name], whole))]
    return {name: _sentence(name, counts[name], whole - counts[name], measured) for name in suspects}


def association_of(counts: dict[str, Counter[str]]) -> float:
    """Cramér's V (1946) of rendering and class, 0 to 1, over renderings of `MIN_OBJECTS` or more; 0 where one is left.

    Parameters
    ----------
    counts : objects of each class, by rendering
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
    """What a rendering adds to chi squared: how far its counts are from the whole's shares."""
    expected = {name: own.total() * objects / whole.total() for name, objects in whole.items()}
    return sum((own[name] - value) ** 2 / value for name, value in expected.items())


def _sentence(rendering: str, own: Counter[str], elsewhere: Counter[str], measured: float) -> str:
    rare = [name for name in elsewhere if own[name] / own.total() < elsewhere[name] / elsewhere.total()]
    # with a single large rendering there is no association to measure
    strength = f" (Cramér's V {measured:.2f})" if measured else ""
    return (
        f"class and rendering go together{strength}: '{rendering}' has {_listed(own, elsewhere)}, "
        f"the others {_listed(elsewhere, own)}, which teaches the rendering and not the galaxy; add "
        f"{' and '.join(sorted(rare))} rendered alike, or leave it out (ingest its table again with --split none)"
    )


def _listed(own: Counter[str], other: Counter[str]) -> str:
    return " and ".join(f"{own[name]:,} {name}" for name in sorted(set(own) | set(other)))
