"""Wrong labels that got in as promotions: later rounds must throw them out and keep the right ones.

Where promoted labels train, a label is judged by networks that were trained on it. That is enough as long as a network
of few epochs learns what most labels of a kind of galaxy have in common before it learns any one of them by heart.
Where a recipe has `[teaching]`, no network has seen the label at all.
"""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from support.contents import MadeOnce, rows
from support.toy_rounds import CERTIFIED, CLASSES, POOL, Toy, build_toy, toy_at

from catbuilder.catalogue.label_events import EVENTS, record_events
from catbuilder.catalogue.workspace import Workspace

pytestmark = pytest.mark.slow

N_POISON = 50
# the mean of two networks speaks, the second taught by the surest predictions of the first
TAUGHT = ("--set", "teaching.surest=0.8", "--set", "speaking.model=mean", "--set", "training.stages.0.epochs=2")


@pytest.fixture(scope="module")
def promoted(made_once: MadeOnce) -> Toy:
    """After a round that promoted 120. Copy it, do not change it."""
    toy = toy_at(made_once("toy", build_toy))
    toy = toy.on(made_once("toy-begun", toy.begin) / "ws")
    assert len(toy.promoted(1)) == 120
    return toy


@pytest.fixture(scope="module")
def poisoned(promoted: Toy, copy_of: Callable[[Path], Path]) -> Toy:
    """The same, and in the round's name 50 more stand with the wrong class. Copy it, do not change it."""
    toy = promoted.on(copy_of(promoted.workspace))
    poison(toy, unpromoted(toy)[:N_POISON])
    return toy


def unpromoted(toy: Toy) -> list[int]:
    """Objects of the pool that the first round has not promoted."""
    taken = toy.promoted(1)
    return [n for n in sorted(toy.truth) if n >= POOL and n not in taken]


def poison(toy: Toy, objects: list[int]) -> None:
    """Promote these objects in round 1 as what they are not."""
    flipped = dict(zip(CLASSES, reversed(CLASSES), strict=True))
    events = [
        {"survey": "des", "object_id": n, "kind": "label", "label": flipped[toy.truth[n]], "confidence": 0.99,
         "source": "promoted", "model": 1, "reason": "poison"}
        for n in objects
    ]  # fmt: skip
    with Workspace.open(toy.workspace).recording("poison") as recording:
        record_events(recording, pa.Table.from_pylist(events, schema=EVENTS), 1)


def test_poisoned_labels_are_taken_back_and_right_ones_stay(poisoned: Toy, copy_of: Callable[[Path], Path]) -> None:
    toy = poisoned.on(copy_of(poisoned.workspace))
    first = toy.promoted(1)
    wrong = {n for n, label in first.items() if label != toy.truth[n]}
    right = set(first) - wrong
    assert len(wrong) >= N_POISON and len(right) >= 110
    for number, policy in ((2, CERTIFIED), (3, ())):
        toy.round(*policy)
        standing = toy.standing()
        assert sum(standing.get(n) == first[n] for n in wrong) <= 0.2 * len(wrong), number
        assert sum(standing.get(n) == first[n] for n in right) >= 0.9 * len(right), number
    trained_on = rows(toy.workspace, "SELECT object_id, label FROM training WHERE round = 2 AND source = 'promoted'")
    assert dict(trained_on) == first, "a network that never learned from them would show nothing"
    broken = "SELECT certificate FROM certificates WHERE batch_errors < ?"
    for name in CLASSES:
        mistaken = sum(label == name != toy.truth[n] for n, label in toy.promoted(2).items())
        assert rows(toy.workspace, f"{broken} AND class = ?", [mistaken, name]) == []
    reasons = dict(rows(toy.workspace, "SELECT object_id, reason FROM labels WHERE kind = 'retraction' AND round = 2"))
    assert all(f"round 2 scores it {toy.truth[n]} at" in reasons[n] for n in wrong & set(reasons))


def test_with_teaching_a_third_of_wrong_labels_is_taken_back_by_the_next_round(
    promoted: Toy, copy_of: Callable[[Path], Path]
) -> None:
    toy = promoted.on(copy_of(promoted.workspace))
    poison(toy, unpromoted(toy)[: 120 // 2])  # half of the 120 besides: a third of all
    first = toy.promoted(1)
    wrong = {n for n, label in first.items() if label != toy.truth[n]}
    right = set(first) - wrong
    assert 3 * len(wrong) >= len(first) and len(right) >= 110
    toy.round(*TAUGHT)
    assert rows(toy.workspace, "SELECT count(*) FROM training WHERE round = 2 AND source = 'promoted'") == [(0,)]
    taught = "SELECT object_id, label FROM training WHERE round = 2 AND role = 'teaching'"
    said = {n: label for n, label in rows(toy.workspace, taught) if n in wrong}
    assert len(said) > 20 and sum(label == toy.truth[n] for n, label in said.items()) >= 0.8 * len(said), (
        "the images of wrongly labelled objects teach what the model said of them, not what was asserted"
    )
    standing = toy.standing()
    assert sum(standing.get(n) == first[n] for n in wrong) <= 0.2 * len(wrong)
    assert sum(standing.get(n) == first[n] for n in right) >= 0.9 * len(right)


def test_check_finds_promoted_labels_that_no_score_gave(poisoned: Toy) -> None:
    """Before any round has been spent on them: the network of their round has said otherwise."""
    disputed = rows(
        poisoned.workspace,
        "SELECT count(*) FROM labels AS l JOIN predictions AS p USING (survey, object_id) "
        "WHERE l.source = 'promoted' AND l.label <> p.predicted_label",
    )
    assert poisoned.faults() == {"labels_explained": disputed[0][0]} and disputed[0][0] >= 0.8 * N_POISON
