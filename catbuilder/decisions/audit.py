"""Audits: a small random sample of every certified batch for human eyes, and what the answers do to the certificate.

A certificate rests on calibration galaxies; an audit looks at the promoted objects themselves. A few answers certify
nothing alone. They can show that a promise was broken, and then the whole batch is taken back, or, counted together
with the calibration galaxies, tighten the bound. What a person says is truth in its own right, and it is not the truth
that the certificate was counted by: volunteers vote, and a galaxy on which their votes are equal counts there as an
error whatever is predicted, but not here. What a person could not tell counts as wrong in both. A broken audit may thus
mean that person and volunteers disagree about what a spiral is, and a tightened bound is about a mixture of the two
truths.
"""

from dataclasses import dataclass

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow
from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.catalogue.workspace import Recording
from catbuilder.core.resources import query

LEAST = 3  # objects of every batch, or all of it: proportion alone would leave a small class unseen


@dataclass(frozen=True)
class Audit:
    """What a certificate promised of its batch, and what people have said of the sample so far."""

    certificate: str
    n: int  # calibration objects that were counted, and the errors among them
    errors: int
    batch: int  # objects promoted, and how many of them may be wrong
    batch_errors: int
    delta: float  # probability with which that bound fails
    grid: int  # thresholds among which its threshold was chosen
    level: float  # probability with which a true promise is taken for broken
    sampled: int
    answered: int
    wrong: int
    broken: bool  # by earlier answers


@dataclass(frozen=True)
class Settlement:
    """What new answers did: a sentence an audit, and the label events that take broken batches back."""

    sentences: tuple[str, ...] = ()
    retractions: tuple[pa.Table, ...] = ()  # in the columns of `labels.EVENTS`


def queue_audit(recording: Recording, round_number: int, n: int) -> int:
    """Draw objects from the round's certified batches for people to look at, and return how many.

    To be called in the transaction that records certificates and promotions, after them. Each batch gives a simple
    random sample, in proportion to its size (`share_out`), by a hash that the round's seed enters. With n = 0 there is
    no audit.
    """
    batches = dict(recording.con.execute(query("decisions/audit_batches"), {"round": round_number}).fetchall())
    sizes = share_out(batches, n)
    if not sizes:
        return 0
    place = {"round": round_number, "run": recording.run}
    drawn = {"certificates": list(sizes), "sizes": list(sizes.values())}
    recording.con.execute(query("decisions/audit_draw"), place | drawn)
    recording.con.execute(query("decisions/audit_begin"), place)
    return sum(sizes.values())


def share_out(batches: dict[str, int], n: int) -> dict[str, int]:
    """How many of n objects to draw from each batch: in proportion, but 3 at least or all of it; none for n = 0.

    So that every batch has its least, more than n may be drawn.
    """
    if n == 0:
        return {}
    sizes = {name: min(LEAST, batch) for name, batch in batches.items()}
    for _ in range(min(n, sum(batches.values())) - sum(sizes.values())):
        # next from the batch of which the smallest part has been drawn; of equals, from the first
        name = min(sizes, key=lambda name: (sizes[name] / batches[name], name))
        sizes[name] += 1
    return sizes


def settle_audits(recording: Recording) -> Settlement:
    """Judge every audit whose answers have changed, and append what follows to `audits`.

    To be called after answers are recorded, in the same transaction; the caller then records the retractions by
    `labels.record_events`. A broken audit stays broken, also where the answers that broke it are corrected later: its
    labels have been taken back, and what trained since has not seen them.
    """
    sentences, retractions = [], []
    recording.con.execute(f"CREATE OR REPLACE TEMP TABLE audited AS {query('decisions/audit_objects')}")
    with restricted_to(recording.con, "audited", gathered=("labels",)):
        changed = fetch_arrow(recording.con, query("decisions/audit_answers")).to_pylist()
    for row in changed:
        audit = Audit(**row)
        verdict, at_most = judge(audit)
        bound = None if at_most is None else at_most / audit.batch
        recording.con.execute(
            "INSERT INTO audits VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [audit.certificate, audit.sampled, audit.answered, audit.wrong, bound, verdict, recording.round,
             recording.run],
        )  # fmt: skip
        sentences.append(_tell(audit, verdict, at_most))
        if verdict == "broken" and not audit.broken:
            retractions.append(_take_back(recording.con, audit))
    return Settlement(tuple(sentences), tuple(retractions))


def judge(audit: Audit) -> tuple[str, int | None]:
    """The verdict, and how many labels of the batch are wrong at most; None where the bound was broken.

    - broken: so many wrong would turn up with a probability below `level` if the batch had as many wrong labels as the
      certificate allows (hypergeometric tail: the sample is drawn without replacement). Objects without an answer count
      as right, so that it holds at any moment: what breaks it now would break it at the end.
    - open: answers are missing.
    - tightened: counted together, calibration and sample give a smaller bound. Only with all answers: `delta` pays for
      one look at the data. It is a second bound beside the certificate's, so that both hold with probability
      1 - 2 delta.
    - kept: they do not.
    """
    from catbuilder.decisions.error_bounds import batch_bound  # scipy too, see _chance

    if audit.broken or _chance(audit) < audit.level:
        return "broken", None
    if audit.answered < audit.sampled:
        return "open", audit.batch_errors
    pooled_errors, pooled = audit.errors + audit.wrong, audit.n + audit.sampled
    unseen = batch_bound(pooled_errors, pooled, audit.batch - audit.sampled, audit.delta / audit.grid)
    at_most = unseen + audit.wrong
    return ("tightened", at_most) if at_most < audit.batch_errors else ("kept", audit.batch_errors)


def _chance(audit: Audit) -> float:
    """Probability of so many wrong in the sample, or more, if the certificate's bound just holds."""
    # scipy.stats takes a second to import, and `labels`, which every ingest needs, imports this module
    from scipy.stats import hypergeom

    return float(hypergeom.sf(audit.wrong - 1, audit.batch, audit.batch_errors, audit.sampled))


def _take_back(con: Connection, audit: Audit) -> pa.Table:
    reason = (
        f"audit: {audit.wrong} of {audit.sampled} wrong, certificate {audit.certificate} promised at most "
        f"{audit.batch_errors} of {audit.batch}"
    )
    return fetch_arrow(con, query("decisions/audit_retractions"), {"certificate": audit.certificate, "reason": reason})


def _tell(audit: Audit, verdict: str, at_most: int | None) -> str:
    said = f"certificate {audit.certificate}: {audit.answered} of {audit.sampled} answered"
    if verdict == "open":  # how many were wrong would tell whoever labels the rest what was predicted
        return f"{said}, {audit.sampled - audit.answered} still to be looked at"
    said += f", {audit.wrong} wrong"
    if audit.broken:
        return f"{said}: it was broken by earlier answers, and stays so"
    if at_most is None:
        promised = f"it promised at most {audit.batch_errors} of {audit.batch}"
        return f"{said}: the certificate is broken ({promised}), and every label promoted under it is taken back"
    bound, before = (f"{100 * wrong / audit.batch:.1f} %" for wrong in (at_most, audit.batch_errors))
    if verdict == "tightened":
        return f"{said}: at most {bound} of the batch are wrong (was {before})"
    return f"{said}: the certificate is kept, at most {bound} of the batch are wrong"
