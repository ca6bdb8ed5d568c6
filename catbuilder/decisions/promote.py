"""Promote pool objects to labels by a policy, and retract promoted labels that the new model contradicts.

The recipe's `promotion.policy` names one of four policies, each a function here, listed in `_POLICIES`:

- `top_k` (`_promote_top_k`): the most confident objects of each class (Khan et al. 2019, section III), at or above the
  floor; query `decisions/promote_top_k.sql`.
- `threshold` (`_promote_threshold`): all objects at or above a fixed confidence; query
  `decisions/promote_threshold.sql`.
- `certified` (`_promote_certified`): as many objects as an upper bound on the error rate allows; `certify_round` in
  `certified_policy` decides. It is the only policy that states an error rate.
- `none` (`_promote_nothing`): no object.

To add a policy: name it in `core.recipe.Promotion.policy`; write a query `promote_<policy>.sql` that makes label events
of the temporary table `promotable`; write a function here that runs it, and list the function in `_POLICIES`.
`promotion_candidates.find_promotable` fills `promotable`, without members of test sets, objects excluded by the
firewall and objects outside the target population. So a policy only chooses.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number
from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.catalogue.label_events import make_events_table, record_events_of
from catbuilder.catalogue.round_records import RoundPlan
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.core.resources import query
from catbuilder.decisions.audit import queue_audit
from catbuilder.decisions.certified_policy import CUTS, certify_round
from catbuilder.decisions.promotion_candidates import find_promotable
from catbuilder.decisions.speaking import reason_to_refuse

_PROMOTE = "INSERT INTO temp.promotions BY NAME"

_CERTIFICATES = pa.schema(
    [
        ("certificate", pa.string()), ("class", pa.string()), ("truth", pa.string()), ("population", pa.string()),
        ("n", pa.int64()), ("errors", pa.int64()), ("threshold", pa.float64()), ("alpha", pa.float64()),
        ("delta_spent", pa.float64()), ("population_bound", pa.float64()), ("batch_bound", pa.float64()),
        ("calibration_sha256", pa.string()), ("round", pa.int32()), ("verdict", pa.string()), ("reason", pa.string()),
        ("survey", pa.string()), ("delta", pa.float64()), ("grid", pa.list_(pa.float32())), ("accepted", pa.int32()),
        ("batch", pa.int64()), ("batch_errors", pa.int64()), ("share", pa.float64()), ("weighted", pa.bool_()),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Decisions:
    """Decisions of a round, and their certificates.

    The label events are in the temporary tables `retractions` and `promotions`, in the order in which they are
    recorded, since a policy may promote most of a survey; what certificates cover is in the table `covered`.
    """

    cuts: pa.Table
    promoted: dict[str, int] = field(default_factory=dict)  # number of objects by class
    retracted: int = 0
    certificates: list[dict[str, object]] = field(default_factory=list)
    calibration: pa.Table | None = None
    messages: list[str] = field(default_factory=list)
    refusal: str = ""  # why the round's model does not speak


def decide(con: Connection, workspace: Workspace, plan: RoundPlan) -> Decisions:
    """Retract promoted labels that the round's model contradicts, then promote objects of the pool.

    A model that should not speak (see `speaking`) does neither.

    An object can be promoted if it is in the pool and in the target population, has a good stamp and no label, and is
    not excluded by the firewall. An object whose label is retracted in this round cannot be promoted in it. Ties of
    confidence are broken by survey and object_id, so the same scores always give the same labels.
    """
    for table in ("retractions", "promotions"):
        make_events_table(con, table)
    refusal = reason_to_refuse(con, plan)
    if refusal:
        return replace(_promote_nothing(), refusal=refusal)
    _retract(con, plan)
    decisions = _POLICIES[plan.recipe.promotion.policy](con, workspace, plan)
    promoted = dict(con.execute("SELECT label, count(*) FROM temp.promotions GROUP BY ALL ORDER BY ALL").fetchall())
    retracted = fetch_number(con, "SELECT count(*) FROM temp.retractions")
    return replace(decisions, promoted=promoted, retracted=retracted)


def _promote_top_k(con: Connection, _: Workspace, plan: RoundPlan) -> Decisions:
    settings = plan.recipe.promotion
    # Ranked together, one survey's surest objects may leave another none.
    pools = con.execute("SELECT DISTINCT survey FROM standing_splits_at() WHERE split = 'pool' ORDER BY 1").fetchall()
    surveys: list[str | None] = [survey for (survey,) in pools] if settings.per_survey else [None]
    for survey in surveys or [None]:
        find_promotable(con, plan.round, settings.floor, settings.per_class, survey)
        con.execute(f"{_PROMOTE} {query('decisions/promote_top_k')}", {"per_class": settings.per_class})
    return Decisions(fetch_arrow(con, query("decisions/promotion_cuts")))


def _promote_threshold(con: Connection, _: Workspace, plan: RoundPlan) -> Decisions:
    settings = plan.recipe.promotion
    find_promotable(con, plan.round, max(settings.threshold, settings.floor), None)
    con.execute(f"{_PROMOTE} {query('decisions/promote_threshold')}", {"threshold": settings.threshold})
    return Decisions(fetch_arrow(con, query("decisions/promotion_cuts")))


def _promote_certified(con: Connection, workspace: Workspace, plan: RoundPlan) -> Decisions:
    found = certify_round(con, workspace, plan)
    return Decisions(
        cuts=found.cuts, certificates=found.certificates, calibration=found.calibration, messages=found.messages
    )


def _promote_nothing(*_: object) -> Decisions:
    """Promote no object."""
    return Decisions(CUTS.empty_table())


_POLICIES: dict[str, Callable[[Connection, Workspace, RoundPlan], Decisions]] = {
    "top_k": _promote_top_k,
    "threshold": _promote_threshold,
    "certified": _promote_certified,
    "none": _promote_nothing,
}


def _retract(con: Connection, plan: RoundPlan) -> None:
    """Find promoted labels that the round's model contradicts; only promoted objects are read."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE looked_at AS "
        "SELECT survey, object_id FROM standing_labels_at($round) WHERE source = 'promoted'",
        {"round": plan.round},
    )
    with restricted_to(con, "looked_at", gathered=["scores"], model=plan.round):
        limits = {"round": plan.round, "floor": plan.recipe.promotion.floor}
        con.execute(f"INSERT INTO temp.retractions BY NAME {query('decisions/retractions')}", limits)


def record_decisions(recording: Recording, plan: RoundPlan, decisions: Decisions) -> None:
    """Append the decisions of a round, with their certificates and audits if there are any, in one transaction."""
    con = recording.con
    for table in ("retractions", "promotions"):
        record_events_of(recording, table, plan.round)
    place: dict[str, object] = {"round": plan.round, "run": recording.run}
    if decisions.refusal:
        con.execute(
            "INSERT INTO refusals BY NAME SELECT $round AS model, $reason AS reason, $round AS round, $run AS run",
            {**place, "reason": decisions.refusal},
        )
    con.register("incoming", decisions.cuts.cast(CUTS))
    con.execute("INSERT INTO promotion_cuts BY NAME SELECT *, $round AS round, $run AS run FROM incoming", place)
    if decisions.calibration is None:
        return
    con.register("incoming", decisions.calibration)
    con.execute("INSERT INTO calibration BY NAME SELECT *, $round AS round, $run AS run FROM incoming", place)
    con.register("incoming", pa.Table.from_pylist(decisions.certificates, schema=_CERTIFICATES))
    con.execute("INSERT INTO certificates BY NAME SELECT *, $run AS run FROM incoming", {"run": recording.run})
    queue_audit(recording, plan.round, plan.recipe.certificate.audit)
