"""Promote pool objects to labels by a policy, and retract promoted labels that the new model contradicts.

The recipe's `promotion.policy` names one of three policies. `decide` chooses among them:

- `top_k`: the most confident objects of each class (Khan et al. 2019, section III), at least as confident as the
  floor. Decided here, by the query `decisions/promote_top_k.sql`.
- `threshold`: all objects above a fixed confidence. Decided here, by the query `decisions/promote_threshold.sql`.
- `certified`: as many objects as an upper bound on the error rate allows. Decided in `certified_policy`, by
  `certify_round`. It alone states an error rate.

To add a policy: name it in `core.recipe.Promotion.policy`, write a query `promote_<policy>.sql` that makes label events
of the temporary table `promotable`, and add a branch to `decide`. `promotable` (made by
`promotion_candidates.find_promotable`) leaves out test sets, the firewall's exclusions and other domains, so a policy
only has to choose.
"""

from dataclasses import dataclass, field

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow
from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.catalogue.label_events import EVENTS, record_events
from catbuilder.catalogue.round_records import RoundPlan
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.core.resources import query
from catbuilder.decisions.audit import queue_audit
from catbuilder.decisions.certified_policy import CUTS, certify_round
from catbuilder.decisions.promotion_candidates import find_promotable

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
    """Decisions of a round: label events in the order in which they are recorded, and their certificates."""

    retractions: pa.Table
    promotions: pa.Table
    cuts: pa.Table
    certificates: list[dict[str, object]] = field(default_factory=list)
    calibration: pa.Table | None = None
    messages: list[str] = field(default_factory=list)

    @property
    def events(self) -> pa.Table:
        """All label events, in the columns of `label_events.EVENTS`."""
        return pa.concat_tables([self.retractions, self.promotions])


def decide(con: Connection, workspace: Workspace, plan: RoundPlan) -> Decisions:
    """Retract promoted labels that the round's model contradicts, then promote objects of the pool.

    An object can be promoted if it is in the pool and in the target population, has a good stamp and no label, and is
    not excluded by the firewall. An object whose label is retracted in this round cannot be promoted in it. Ties of
    confidence are broken by survey and object_id, so the same scores always give the same labels.
    """
    policy = plan.recipe.promotion
    retractions = _retractions(con, plan)
    if policy.policy == "certified":
        found = certify_round(con, workspace, plan)
        return Decisions(
            retractions,
            _as_events(found.promotions),
            found.cuts,
            found.certificates,
            found.calibration,
            found.messages,
        )
    if policy.policy == "top_k":
        find_promotable(con, plan.round, policy.floor, policy.per_class)
        promotions = fetch_arrow(con, query("decisions/promote_top_k"), {"per_class": policy.per_class})
    else:
        find_promotable(con, plan.round, max(policy.threshold, policy.floor), None)
        promotions = fetch_arrow(con, query("decisions/promote_threshold"), {"threshold": policy.threshold})
    con.register("promotions", promotions)
    return Decisions(retractions, _as_events(promotions), fetch_arrow(con, query("decisions/promotion_cuts")))


def _retractions(con: Connection, plan: RoundPlan) -> pa.Table:
    """Find promoted labels that the round's model contradicts; only promoted objects are read."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE looked_at AS "
        "SELECT survey, object_id FROM standing_labels_at($round) WHERE source = 'promoted'",
        {"round": plan.round},
    )
    with restricted_to(con, "looked_at", gathered=["scores"], model=plan.round):
        limits = {"round": plan.round, "floor": plan.recipe.promotion.floor}
        return _as_events(fetch_arrow(con, query("decisions/retractions"), limits))


def record_decisions(recording: Recording, plan: RoundPlan, decisions: Decisions) -> None:
    """Append the decisions of a round, with their certificates and audits if there are any, in one transaction."""
    con = recording.con
    record_events(recording, decisions.events, plan.round)
    place: dict[str, object] = {"round": plan.round, "run": recording.run}
    con.register("incoming", decisions.cuts.cast(CUTS))
    con.execute("INSERT INTO promotion_cuts BY NAME SELECT *, $round AS round, $run AS run FROM incoming", place)
    if decisions.calibration is None:
        return
    con.register("incoming", decisions.calibration)
    con.execute("INSERT INTO calibration BY NAME SELECT *, $round AS round, $run AS run FROM incoming", place)
    con.register("incoming", pa.Table.from_pylist(decisions.certificates, schema=_CERTIFICATES))
    con.execute("INSERT INTO certificates BY NAME SELECT *, $run AS run FROM incoming", {"run": recording.run})
    queue_audit(recording, plan.round, plan.recipe.certificate.audit)


def _as_events(rows: pa.Table) -> pa.Table:
    """Fill the columns that the query does not give with NULL."""
    columns = [
        rows[field.name].cast(field.type) if field.name in rows.column_names else pa.nulls(rows.num_rows, field.type)
        for field in EVENTS
    ]
    return pa.table(columns, schema=EVENTS)
