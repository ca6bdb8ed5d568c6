import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catbuilder.core.recipe import Stage, Training
from catbuilder.network.schedule import kept_epoch, max_epochs, next_epoch

PAPER = Training(
    stages=(
        Stage(epochs=1, train_from="head"),
        Stage(epochs=5, train_from="blocks", rate=0.5),
        Stage(epochs=4, train_from="all"),
    ),
    learning_rate=1e-4,
    warmup_epochs=2,
)
loss = st.one_of(st.none(), st.floats(0, 10), st.just(math.nan))
settings = st.builds(
    Training,
    stages=st.lists(
        st.builds(Stage, epochs=st.integers(1, 6), train_from=st.just("all"), rate=st.floats(0.1, 2)),
        min_size=1,
        max_size=4,
    ).map(tuple),
    patience=st.integers(1, 4),
    plateau_patience=st.integers(1, 4),
    warmup_epochs=st.integers(0, 3),
)


def planned(training: Training, losses: list, ranks: int = 1) -> list:
    """The epochs of a training in which epoch i ends with losses[i]."""
    epochs = []
    while (epoch := next_epoch(training, ranks, losses[: len(epochs)])) is not None:
        epochs.append(epoch)
    return epochs


def test_without_stopping_every_planned_epoch_is_trained_stage_by_stage():
    falling = [1 / (i + 1) for i in range(10)]
    assert [epoch.stage for epoch in planned(PAPER, falling)] == [0] + [1] * 5 + [2] * 4


def test_a_stage_ends_after_patience_epochs_without_a_better_loss_and_the_next_begins():
    losses = [1.0, 0.5, 0.6, 0.6, 0.6, 0.4, 0.3, 0.2, 0.1]
    assert [epoch.stage for epoch in planned(PAPER, losses)] == [0, 1, 1, 1, 1, 2, 2, 2, 2]


def test_the_rate_is_multiplied_by_the_ranks_after_the_warm_up():
    falling = [1 / (i + 1) for i in range(10)]
    rates = [epoch.learning_rate for epoch in planned(PAPER, falling, ranks=8)]
    assert rates == pytest.approx([1e-4, 0.5e-4] + [4e-4] * 4 + [8e-4] * 4)


def test_the_rate_is_halved_on_a_plateau_and_restored_in_the_next_stage():
    losses = [1.0, 0.5, 0.6, 0.6, 0.6, 0.4, 0.3, 0.2, 0.1]
    rates = [epoch.learning_rate for epoch in planned(PAPER, losses)]
    assert rates == pytest.approx([1e-4, 0.5e-4, 0.5e-4, 0.5e-4, 0.25e-4, 1e-4, 1e-4, 1e-4, 1e-4])


def test_a_cosine_stage_starts_at_its_rate_and_falls_towards_nothing():
    training = Training(stages=(Stage(epochs=4, train_from="all", cosine=True),), learning_rate=1.0, scale_rate=False)
    rates = []
    while epoch := next_epoch(training, 1, [None] * len(rates)):
        rates.append(epoch.learning_rate)
    assert rates[0] == 1.0
    assert all(earlier > later > 0 for earlier, later in pairwise(rates))


def test_without_validation_nothing_stops_early_and_the_last_epoch_is_kept():
    nothing = [None] * 10
    assert len(planned(PAPER, nothing)) == 10
    assert kept_epoch(PAPER, nothing) == 9


def test_the_kept_epoch_is_the_earliest_of_equals_and_never_one_that_is_not_a_number():
    assert kept_epoch(PAPER, [math.nan, 0.5, 0.4, 0.4]) == 2


def test_with_the_last_epoch_kept_no_loss_ends_a_stage_or_lowers_its_rate():
    last = PAPER.model_copy(update={"keep": "last"})
    worse = [0.1 + n for n in range(10)]
    assert planned(last, worse) == planned(last, [None] * 10)
    assert kept_epoch(last, worse) == 9


@given(settings, st.lists(loss, min_size=30, max_size=30), st.integers(1, 8))
def test_any_history_ends_within_the_plan_in_stages_that_never_go_back(training, losses, ranks):
    epochs = planned(training, losses, ranks)
    assert 1 <= len(epochs) <= max_epochs(training)
    assert [epoch.number for epoch in epochs] == list(range(len(epochs)))
    assert all(after.stage - before.stage in (0, 1) for before, after in pairwise(epochs))
    assert epochs[-1].stage == len(training.stages) - 1
    assert all(0 < epoch.learning_rate <= training.learning_rate * 2 * ranks for epoch in epochs)


@given(settings, st.lists(loss, min_size=30, max_size=30))
def test_the_next_epoch_depends_on_the_history_alone_whatever_comes_later(training, losses):
    epochs = planned(training, losses)
    for epoch in epochs:
        assert next_epoch(training, 1, losses[: epoch.number]) == epoch
