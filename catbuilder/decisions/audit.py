"""Audit certified batches: people label a random sample of each, and the answers test its certificate.

A certificate rests on calibration galaxies; an audit looks at the promoted objects themselves. A few answers certify
nothing alone. They can show that the certificate's bound is broken, and then the whole batch is retracted. Or, counted
together with the calibration galaxies, they tighten the bound.

A person's answer is another truth than the volunteers' votes that the certificate was counted by. A galaxy with equal
votes counts as an error in the certificate, whatever is predicted, but not in the audit. An object that a person cannot
classify counts as wrong in both. A broken audit may therefore mean that the person and the volunteers disagree about
what a spiral is, and a tightened bound is about a mixture of the two truths.
"""

from dataclasses import dataclass

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number
from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.catalogue.workspace import Recording
from catbuilder.core.resources import query

MIN_PER_BATCH = 3  # objects drawn of every batch, or all of it: in proportion alone a small class might get none


@dataclass(frozen=True)
class Audit:
    """One certificate's bound on its batch, and the answers on its sample so far."""

    certificate: str
    n: int  # calibration objects counted
    errors: int  # wrong ones among them
    batch: int  # objects covered
    batch_errors: int  # most that may be wrong by the certificate
    delta: float  # probability that the bound fails
    grid: int  # thresholds that were tried for the certificate
    level: float  # probability of calling a true bound broken
    sampled: int
    answered: int
    wrong: int
    broken: bool  # by earlier answers


@dataclass(frozen=True)
class AuditUpdate:
    """Audits that new answers changed: a sentence for each, and the label events that retract broken batches."""

    messages: tuple[str, ...] = ()
    retractions: tuple[pa.Table, ...] = ()  # in the columns of `label_events.EVENTS`


def queue_audit(recording: Recording, round_number: int, n: int) -> int:
    """Queue a random sample of the round's certified batches for people to label, and return its size.

    Call it in the transaction that records certificates and promotions, after them. Each batch gives a simple random
    sample in proportion to its size (`audit_sample_sizes`), drawn by a hash that depends on the round's seed. With
    n = 0 there is no audit. The batches are in the temporary table `covered`.
    """
    batches = dict(recording.con.execute(query("decisions/audit_batches"), {"round": round_number}).fetchall())
    sizes = audit_sample_sizes(batches, n)
    if not sizes:
        return 0
    place = {"round": round_number, "run": recording.run}
    drawn = {"certificates": list(sizes), "sizes": list(sizes.values())}
    recording.con.execute(query("decisions/audit_sample"), place | drawn)
    recording.con.execute(query("decisions/audit_open"), place)
    return sum(sizes.values())


def audit_sample_sizes(batches: dict[str, int], n: int) -> dict[str, int]:
    """Divide an audit of n objects among batches in proportion to their sizes; nothing for n = 0.

    Every batch gives `MIN_PER_BATCH` objects at least, or all it has, so more than n may be drawn.

    Parameters
    ----------
    batches : number of promoted objects, by certificate

    Returns
    -------
    number of objects to draw, by certificate
    """
    if n == 0:
        return {}
    sizes = {name: min(MIN_PER_BATCH, batch) for name, batch in batches.items()}
    for _ in range(min(n, sum(batches.values())) - sum(sizes.values())):
        # next from the batch with the smallest fraction drawn so far; ties go to the first name
        name = min(sizes, key=lambda name: (sizes[name] / batches[name], name))
        sizes[name] += 1
    return sizes


def update_audits(recording: Recording) -> AuditUpdate:
    """Update every audit whose answers have changed, and append its verdict to the table `audits`.

    Call it after answers are recorded, in the same transaction; then record the retractions by
    `label_events.record_events`. A broken audit stays broken, even if the answers that broke it are corrected later:
    its labels have been retracted, and later rounds have trained without them.
    """
    messages, retractions = [], []
    recording.con.execute(f"CREATE OR REPLACE TEMP TABLE audited AS {query('decisions/audit_objects')}")
    if not fetch_number(recording.con, "SELECT count(*) FROM audited"):  # most catalogues have no audit
        return AuditUpdate()
    with restricted_to(recording.con, "audited", gathered=("labels",), read=("labels", "aliases")):
        changed = fetch_arrow(recording.con, query("decisions/audit_answers")).to_pylist()
    for row in changed:
        audit = Audit(**row)
        verdict, at_most = audit_verdict(audit)
        bound = None if at_most is None else at_most / audit.batch
        recording.con.execute(
            "INSERT INTO audits VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [audit.certificate, audit.sampled, audit.answered, audit.wrong, bound, verdict, recording.round,
             recording.run],
        )  # fmt: skip
        messages.append(_verdict_sentence(audit, verdict, at_most))
        if verdict == "broken" and not audit.broken:
            retractions.append(_retract_batch(recording.con, audit))
    return AuditUpdate(tuple(messages), tuple(retractions))


def audit_verdict(audit: Audit) -> tuple[str, int | None]:
    """Decide an audit: its verdict, and the largest number of wrong labels in the batch (None if broken).

    - broken: if the batch had as many wrong labels as the certificate allows, so many wrong ones in the sample would
      have a probability below `level` (hypergeometric tail: the sample is drawn without replacement). Objects without
      an answer count as right, so an audit that is broken now would also be broken with all answers.
    - open: answers are missing.
    - tightened: counted together, calibration and sample give a smaller bound. This needs all answers, because `delta`
      covers one look at the data. It is a second bound beside the certificate's: both hold together with probability
      1 - 2 delta.
    - kept: they give no smaller bound.
    """
    from catbuilder.decisions.error_bounds import batch_bound  # imports scipy, see _tail_probability

    if audit.broken or _tail_probability(audit) < audit.level:
        return "broken", None
    if audit.answered < audit.sampled:
        return "open", audit.batch_errors
    pooled_errors, pooled = audit.errors + audit.wrong, audit.n + audit.sampled
    unseen = batch_bound(pooled_errors, pooled, audit.batch - audit.sampled, audit.delta / audit.grid)
    at_most = unseen + audit.wrong
    return ("tightened", at_most) if at_most < audit.batch_errors else ("kept", audit.batch_errors)


def _tail_probability(audit: Audit) -> float:
    """Probability of so many wrong labels in the sample, or more, if the certificate's bound just holds."""
    # scipy.stats takes a second to import, and every ingest imports this module (by `active_learning.answers`)
    from scipy.stats import hypergeom

    return float(hypergeom.sf(audit.wrong - 1, audit.batch, audit.batch_errors, audit.sampled))


def _retract_batch(con: Connection, audit: Audit) -> pa.Table:
    reason = (
        f"audit: {audit.wrong} of {audit.sampled} wrong, certificate {audit.certificate} promised at most "
        f"{audit.batch_errors} of {audit.batch}"
    )
    return fetch_arrow(con, query("decisions/audit_retractions"), {"certificate": audit.certificate, "reason": reason})


def _verdict_sentence(audit: Audit, verdict: str, at_most: int | None) -> str:
    text = f"certificate {audit.certificate}: {audit.answered} of {audit.sampled} answered"
    if verdict == "open":  # the number of wrong ones would reveal the predictions to the person who labels the rest
        return f"{text}, {audit.sampled - audit.answered} still to be labelled"
    text += f", {audit.wrong} wrong"
    if audit.broken:
        return f"{text}: earlier answers broke this certificate, and it stays broken"
    if at_most is None:
        promised = f"it promised at most {audit.batch_errors} of {audit.batch}"
        return f"{text}: the certificate is broken ({promised}), and every label that it covers is retracted"
    bound, before = (f"{100 * wrong / audit.batch:.1f} %" for wrong in (at_most, audit.batch_errors))
    if verdict == "tightened":
        return f"{text}: at most {bound} of the batch are wrong (was {before})"
    return f"{text}: the certificate is kept, at most {bound} of the batch are wrong"
