"""Read the recorded certificates, with their audits, and the recorded shift meters.

Nothing is measured here, so that a table is printed without the second or two that scikit-learn takes to import.
"""

from typing import Any

import pyarrow as pa

from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.catalogue.round_records import require_round
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.resources import query


def read_certificates(workspace: Workspace, round_number: int | None = None, *, at: int | None = None) -> pa.Table:
    """Read every certificate and refusal, of one round or of all, with its latest audit.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    round_number : int, optional
        Only this round's certificates; by default those of all rounds.
    at : int, optional
        Number of a round: as of its end; by default as it is now.

    Returns
    -------
    pyarrow.Table
        A row for each certificate or refusal: round, certificate, survey, class, verdict, reason, n, errors, threshold,
        share, weighted, alpha, delta, delta_spent, population_bound, batch, batch_errors, batch_bound. `batch` is the
        number of objects that it covers. `promoted` is that of the labels given under it in its round, which is smaller
        where objects had a label already, and `standing` that of its labels that stand. `audit` is the verdict of the
        latest audit, `sampled`, `answered` and `wrong` its numbers of objects, `audited_bound` its bound.
        Bounds, alpha, delta and share are fractions from 0 to 1.

    Raises
    ------
    RoundError
        There is no such round.

    Examples
    --------
    >>> catbuilder.read_certificates(workspace, 2).to_pylist()
    """
    return _rows_of_round(workspace, "decisions/certificates", round_number, at=at)


def read_shifts(workspace: Workspace, round_number: int | None = None) -> pa.Table:
    """Read the shift meters: how far apart two samples of a round lie in the features of its model.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    round_number : int, optional
        Only this round's meters; by default those of all rounds.

    Returns
    -------
    pyarrow.Table
        A row for each pair of samples and meter, in the order of samples and meters: round, sample_a, sample_b, meter,
        class, value with the ends `low` and `high` of its interval, n_a and n_b (numbers of objects in the samples).

    Raises
    ------
    RoundError
        There is no such round.

    Examples
    --------
    >>> catbuilder.read_shifts(workspace, 2).to_pylist()
    """
    return _rows_of_round(workspace, "decisions/shifts", round_number)


def certificate_sentence(row: dict[str, Any]) -> str:
    """Describe one row of `read_certificates` in a sentence."""
    about = f"round {row['round']}, {row['class']}"
    if row["verdict"] != "certified":
        return f"{about}: refused, {row['reason']}"
    if not row["batch"]:
        return f"{about}: certified at calibrated confidence {row['threshold']:.5g}, which no pool object reaches"
    parts = [f"{about}: {_promoted(row)}", _promise(row)]
    errors = f"{row['errors']} error{'' if row['errors'] == 1 else 's'}"
    parts.append(f"{errors} among {row['n']} calibration galaxies counted")
    if row["standing"] < row["promoted"]:
        # the others were retracted, or a person has labelled them
        parts.append(f"{row['standing'] or 'none'} of the {row['promoted']} stand as promoted")
    return "; ".join([*parts, _audit(row)])


def _promoted(row: dict[str, Any]) -> str:
    part = "" if row["share"] in (None, 1.0) else f", a random {_percent(row['share'])} of those"
    if row["promoted"] < row["batch"]:  # the others had a label already, or lost it in the same round
        return (
            f"{row['batch']} objects of the {row['survey']} pool covered{part} at calibrated confidence "
            f"{row['threshold']:.5g} and above, and {row['promoted'] or 'none'} of them newly promoted"
        )
    return (
        f"{row['batch']} objects of the {row['survey']} pool promoted{part} at calibrated confidence "
        f"{row['threshold']:.5g} and above"
    )


def _promise(row: dict[str, Any]) -> str:
    provided = ", if the weights of the calibration galaxies are right" if row["weighted"] else ""
    return (
        f"at most {_percent(row['alpha'])} of such objects are wrong, and at most {row['batch_errors']} of these "
        f"{row['batch']} ({_percent(1 - row['delta'])} sure of each, {_percent(1 - row['delta_spent'])} of all up to "
        f"this round{provided})"
    )


def _audit(row: dict[str, Any]) -> str:
    sampled, answered, wrong = row["sampled"], row["answered"], row["wrong"]
    if row["audit"] is None:
        return "no audit"
    if row["audit"] == "open":
        return f"audit open ({answered} of {sampled} answered)"
    if row["audit"] == "broken":
        return f"audit broken ({wrong} of {sampled} wrong): all labels that it covers were retracted"
    found = f"audit {row['audit']} ({wrong} of {sampled} wrong)"
    if row["audit"] == "kept":
        return found
    return f"{found}: at most {round(row['audited_bound'] * row['batch'])} of the {row['batch']} are wrong"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _rows_of_round(workspace: Workspace, name: str, round_number: int | None, **bound: int | None) -> pa.Table:
    """Run a query of `sql/queries` for one round, which must exist, or for all."""
    with workspace.reading() as con:
        if round_number is not None:
            require_round(con, round_number)
        return fetch_arrow(con, query(name), {"round": round_number, **bound})
