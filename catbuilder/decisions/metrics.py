"""Read the recorded metrics of rounds: a summary, every value, bins, and curves of accuracy against coverage."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.catalogue.round_records import require_round
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.arguments import require_one_of
from catbuilder.core.resources import query

if TYPE_CHECKING:
    import pyarrow as pa

BIN_VARIABLES = {"mag_r": "mag_r", "radius_arcsec": "radius_arcsec", "colour": "g_r"}
"""Quantities to bin by, as people name them and as `metrics.variable` has them."""


def metrics(
    workspace: Workspace,
    rounds: Sequence[int] | None = None,
    *,
    every: bool = False,
    by: Literal["mag_r", "radius_arcsec", "colour"] | None = None,
) -> "pa.Table":
    """Read how well rounds did on the fixed test sets.

    Parameters
    ----------
    workspace : Workspace
    rounds : sequence of int, optional
        Only these rounds; by default all.
    every : bool
        Every metric, class and confusion count, a row each, instead of a row per test set, survey and round.
    by : {"mag_r", "radius_arcsec", "colour"}, optional
        Purity and completeness in bins of this quantity (mag; arcsec; g - r, mag) instead; without `rounds` those of
        the latest round.

    Returns
    -------
    pyarrow.Table
        Of the summary: round, test_set, survey, n, unscorable, accuracy with the ends `low` and `high` of its 95 per
        cent interval (Wilson 1927), accuracy_surest_half, aurc, precision, recall, f1, auc. Rates are from 0 to 1.

    Raises
    ------
    RoundError
        There is no such round.

    Examples
    --------
    >>> catbuilder.metrics(workspace, [1, 3]).to_pylist()
    """
    if by is not None:
        require_one_of(by, BIN_VARIABLES, "the quantity of bins")
        return _read(workspace, "decisions/metrics_by", rounds, variable=BIN_VARIABLES[by])
    return _read(workspace, "decisions/metrics_all" if every else "decisions/metrics", rounds)


def accuracy_curves(workspace: Workspace, rounds: Sequence[int] | None = None) -> "pa.Table":
    """Read the accuracy against coverage of each round on each test set.

    `draw_accuracy` draws the result.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    rounds : sequence of int, optional
        Numbers of the rounds; by default all.

    Returns
    -------
    pyarrow.Table
        A row for each test set, survey, round and coverage: test_set, survey, round, coverage (fraction of the objects,
        the most confident first, from 0 to 1), value (accuracy of these, from 0 to 1), low and high (ends of its 95 per
        cent interval), n (number of objects).

    Raises
    ------
    RoundError
        There is no such round.

    Examples
    --------
    >>> curves = catbuilder.accuracy_curves(workspace, [1, 3])
    >>> catbuilder.draw_accuracy(curves, "accuracy.pdf")
    """
    return _read(workspace, "decisions/accuracy_curves", rounds)


def accuracy_against_colour(workspace: Workspace, rounds: Sequence[int] | None = None) -> "pa.Table":
    """Read the accuracy on red spirals and blue ellipticals, beside that of a cut in colour alone.

    Raises
    ------
    RoundError
        There is no such round.
    """
    return _read(workspace, "decisions/metrics_against_colour", rounds)


def _read(workspace: Workspace, name: str, rounds: Sequence[int] | None, **parameters: object) -> "pa.Table":
    with workspace.reading() as con:
        for number in rounds or ():
            require_round(con, number)
        return fetch_arrow(con, query(name), {"rounds": list(rounds) if rounds else None, **parameters})
