"""Batches of labelled and taught images."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from catbuilder.network.batches import mixed_batches


@given(
    st.integers(1, 200),
    st.integers(1, 200),
    st.integers(2, 32),
    st.floats(0.01, 0.99),
    st.integers(1, 4),
    st.integers(0, 99),
)
def test_an_epoch_shows_every_labelled_image_and_the_share_of_taught_ones(labelled, taught, size, share, ranks, seed):
    of_rank = [mixed_batches(labelled, taught, size, share, rank, ranks, seed) for rank in range(ranks)]
    assert len({len(batches) for batches in of_rank}) == 1, "every rank has as many steps"
    seen = np.concatenate([batch for batches in of_rank for batch in batches])
    assert all(len(batch) == size for batches in of_rank for batch in batches)
    assert set(seen[seen < labelled]) == set(range(labelled))
    assert seen.max() < labelled + taught
    wanted = max(1, min(size - 1, round(share * size)))
    assert all((batch >= labelled).sum() == wanted for batches in of_rank for batch in batches)
