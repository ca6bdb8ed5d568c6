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
def test_batches_mix_both_sets_in_the_share_asked_for(labelled, taught, size, share, ranks, seed):
    of_rank = [mixed_batches(labelled, taught, size, share, rank, ranks, seed) for rank in range(ranks)]
    steps = -(-max(labelled, taught) // (size * ranks))
    assert all(len(batches) == steps for batches in of_rank), "every rank has as many steps"
    wanted = max(1, min(size - 1, round(share * size)))
    for own, first, n in ((size - wanted, 0, labelled), (wanted, labelled, taught)):
        drawn = [batch[(batch >= first) & (batch < first + n)] for batches in of_rank for batch in batches]
        assert all(len(part) == own for part in drawn)
        seen = np.bincount(np.concatenate(drawn) - first, minlength=n)
        assert seen.max() - seen.min() <= 1, "no image comes twice before all have come once"
