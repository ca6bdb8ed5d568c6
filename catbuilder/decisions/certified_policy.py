"""Decide the promotion policy `certified`: promote with an upper bound on the error rate of each class.

Delta, the probability that any bound fails, is divided among the rounds and the classes of each round. What a round
certifies depends on its recipe:

- With `[teaching]`, promoted labels only assert. No network knows what the certifying half let through, so that each
  round certifies the whole pool anew with all calibration objects. Of the objects that its certificate covers, those
  without a label are promoted; a label that stands already keeps the certificate under which it was promoted.
- Without, promoted labels train. A certificate is about the pool objects that no earlier round has promoted, and counts
  calibration objects that no earlier round would have promoted: so the two samples stay alike. Later networks have
  trained on labels that earlier certificates admitted. All they know of the certifying half is which threshold of the
  grid passed, for each class and round.

If the features of pool and calibration objects differ, calibration objects are resampled to the pool's distribution; if
they differ too much, nothing is certified.
"""

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catbuilder.catalogue.connection import Connection, fetch_arrow, literal_path
from catbuilder.catalogue.features import feature_files, features_of
from catbuilder.catalogue.id_ranges import make_table
from catbuilder.catalogue.round_records import RoundPlan
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.recipe import Recipe
from catbuilder.core.resources import query
from catbuilder.decisions.calibration_set import calibration_alone, delta_per_class, spent_delta
from catbuilder.decisions.sample_shift import MIN_SAMPLE, density_weights, rejection_sample, two_sample_auc
from catbuilder.decisions.threshold_test import CalibrationSample, ClassCertificate, certify_class

CUTS = pa.schema(
    [
        ("survey", pa.string()), ("class", pa.string()), ("score", pa.string()), ("threshold", pa.float32()),
        ("share", pa.float64()), ("certificate", pa.string()),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class CertifiedRound:
    """Decisions of a certified round: rows for the tables of the same names, and sentences for the user."""

    cuts: pa.Table
    certificates: list[dict[str, object]]
    calibration: pa.Table
    messages: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Weights:
    """Weights that make the calibration objects like the pool; or the reason why nothing can be certified."""

    weight: np.ndarray  # float (n,)
    counted: np.ndarray  # bool (n,), whether each object counts
    weighted: bool | None  # None: too few features to compare calibration and pool
    refusal: str | None = None


def certify_round(con: Connection, workspace: Workspace, plan: RoundPlan) -> CertifiedRound:
    """Certify each class of a scored round, and add the objects to promote to the temporary table `promotions`.

    Leaves the temporary tables `certifiable`, the pool objects that the certificates are about, and `covered`, those
    that they cover.
    """
    recipe, target = plan.recipe, plan.recipe.sets.target
    of_round = {"round": plan.round, "target": target}
    with calibration_alone(con):
        objects = fetch_arrow(con, query("decisions/certify_calibration_objects"), of_round)
    make_table(con, "certifiable", "SELECT * FROM certifiable_at($round, $target)", of_round)
    weights = _weights(con, workspace, plan, objects)
    objects = objects.append_column("weight", pa.array(weights.weight))
    objects = objects.append_column("counted", pa.array(weights.counted))
    found = certify_classes(objects, plan.classes, recipe)
    if weights.refusal is not None:
        found = {name: refuse_for_shift(certificate, weights.refusal) for name, certificate in found.items()}
    taken = _take(con, objects, found, recipe)
    cuts = _cuts(plan, taken)
    con.register("cuts", cuts)
    con.execute(f"CREATE OR REPLACE TEMP TABLE covered AS {query('decisions/certify_covered')}", {"round": plan.round})
    con.execute(f"INSERT INTO temp.promotions BY NAME {query('decisions/promote_certified')}")
    batches = dict(con.execute("SELECT predicted_label, count(*) FROM covered GROUP BY ALL").fetchall())
    found |= {name: certificate for name, (certificate, _) in taken.items()}
    shares = {name: share for name, (_, share) in taken.items()}
    spent = spent_delta(con, target, plan.round)
    rows = certificate_rows(plan, objects, found, shares, batches, weights.weighted, weights.refusal, spent)
    calibration = objects.select(["survey", "object_id", "half", "truth", "weight", "counted"])
    given = dict(con.execute("SELECT label, count(*) FROM temp.promotions GROUP BY ALL").fetchall())
    messages = [_sentence(row, found[str(row["class"])], given.get(row["class"], 0), recipe) for row in rows]
    return CertifiedRound(cuts, rows, calibration, messages + _weight_messages(weights))


def _weight_messages(weights: _Weights) -> list[str]:
    if weights.weighted is None:
        return [
            "warning: too few features were kept to compare the pool with the calibration galaxies: the certificates "
            "assume that they are alike; keep more with scoring.pool_features"
        ]
    if weights.weighted and weights.refusal is None:
        return [
            f"pool and calibration differ: {weights.counted.sum()} of {len(weights.counted)} calibration galaxies "
            "were kept so that they are distributed like the pool; the bounds hold if the estimated weights are right"
        ]
    return []


def certify_classes(objects: pa.Table, classes: tuple[str, ...], recipe: Recipe) -> dict[str, ClassCertificate]:
    """Certify each class from the calibration objects.

    Parameters
    ----------
    objects : with columns half, truth, counted, predicted_label, calibrated_confidence
    """
    half = np.array(objects["half"].to_pylist(), dtype=object)[np.asarray(objects["counted"].to_pylist(), bool)]
    ratio = int((half == "certify").sum()) / max(int((half == "fit").sum()), 1)
    settings, delta = recipe.certificate, delta_per_class(recipe, classes)
    return {
        name: certify_class(
            calibration_sample(objects, name, "fit"), calibration_sample(objects, name, "certify"),
            ratio, settings.alpha, delta, settings.grid,
        )
        for name in classes
    }  # fmt: skip


def calibration_sample(objects: pa.Table, name: str, half: str) -> CalibrationSample:
    """Select the counted calibration objects of one half that are predicted to be of a class."""
    mask = pc.and_(
        pc.and_(pc.equal(objects["half"], half), pc.equal(objects["predicted_label"], name)), objects["counted"]
    )
    mine = objects.filter(mask)
    wrong = np.array([truth != name for truth in mine["truth"].to_pylist()], bool)
    return CalibrationSample(mine["calibrated_confidence"].to_numpy().astype(np.float32), wrong)


def certificate_rows(
    plan: RoundPlan,
    objects: pa.Table,
    found: dict[str, ClassCertificate],
    shares: dict[str, float],
    batches: dict[str, int],
    weighted: bool | None,
    shifted: str | None,
    spent: float,
) -> list[dict[str, object]]:
    """Make the rows of the table `certificates`, one per class, without `run`.

    Parameters
    ----------
    objects : the calibration objects: survey, object_id, half, truth, counted, source
    found : certificate, by class
    shares : fraction of the certified objects that is promoted, by class
    batches : number of objects covered, by class
    weighted : whether calibration objects were weighted; None if there were too few features to tell
    shifted : why the certifying half was not tested, if it was not
    spent : delta of all earlier certificates of the survey
    """
    sources = sorted({name for name in objects["source"].to_pylist() if name})
    asked = 0.0 if shifted is not None else sum(certificate.delta for certificate in found.values())
    common: dict[str, object] = {
        "truth": f"the larger vote, or the label in its place ({', '.join(sources) or 'none'}); a tie is an error",
        "population": population_of(plan.recipe), "survey": plan.recipe.sets.target, "round": plan.round,
        "delta_spent": spent + asked, "calibration_sha256": calibration_hash(objects), "weighted": weighted,
    }  # fmt: skip
    return [
        common | _of_class(plan.round, name, found[name], shares.get(name), batches.get(name, 0), shifted is not None)
        for name in plan.classes
    ]


def _of_class(
    round_number: int, name: str, certificate: ClassCertificate, share: float | None, batch: int, shifted: bool
) -> dict[str, object]:
    is_certified = certificate.threshold is not None
    errors = certificate.batch_errors(batch) if is_certified else None
    return {
        "certificate": certificate_id(round_number, name), "class": name,
        "verdict": "certified" if is_certified else "shifted" if shifted else "refused", "reason": certificate.reason,
        "n": certificate.n, "errors": certificate.errors, "threshold": certificate.threshold,
        "alpha": certificate.alpha, "delta": certificate.delta, "grid": list(certificate.grid),
        "accepted": certificate.accepted, "population_bound": certificate.population_bound, "batch": batch,
        "batch_errors": errors, "batch_bound": errors / batch if errors is not None and batch else None, "share": share,
    }  # fmt: skip


def population_of(recipe: Recipe) -> str:
    """Describe the objects that a certificate is about."""
    which = "labelled by nobody" if recipe.teaching is not None else "taken by no earlier round"
    return f"{recipe.sets.target}: pool, domain in of {recipe.sets.population}, {which}"


def refuse_for_shift(certificate: ClassCertificate, reason: str) -> ClassCertificate:
    """Turn a certificate into a refusal, because the calibration objects are not like the pool."""
    return replace(certificate, accepted=0, threshold=None, population_bound=1.0, needed=None, reason=reason)


def certificate_id(round_number: int, name: str) -> str:
    """Name the certificate of a class and round, as label events and exports do."""
    return f"r{round_number:03d}-{name}"


def calibration_hash(objects: pa.Table) -> str:
    """Compute the SHA-256 of the calibration set as it was counted.

    Each object is one line of survey, id, half, truth and whether it counted.
    """
    columns = [objects[name].to_pylist() for name in ("survey", "object_id", "half", "truth", "counted")]
    lines = sorted(" ".join(map(str, row)) for row in zip(*columns, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _weights(con: Connection, workspace: Workspace, plan: RoundPlan, objects: pa.Table) -> _Weights:
    """Compare calibration and pool by their features, and weight the calibration objects if they differ."""
    n = objects.num_rows
    plain = _Weights(np.ones(n), np.ones(n, bool), False)
    files = [literal_path(file) for file in feature_files(workspace.round_folder(plan.round))]
    kept = fetch_arrow(con, query("decisions/certify_features"), {"files": files}) if files else objects.slice(0, 0)
    pool, _ = features_of(workspace, plan.round, kept)
    features, known = features_of(workspace, plan.round, objects)
    if min(len(pool), int(known.sum())) < MIN_SAMPLE:
        return replace(plain, weighted=None)
    meter = two_sample_auc(features, pool, plan.seed)
    if meter.low <= 0.5:
        return plain
    limit = plan.recipe.certificate.shift_limit
    if meter.value > limit:
        return _Weights(plain.weight, plain.counted, True, (
            f"a classifier tells the pool from the calibration galaxies by their features (AUC {meter.value:.3f}, and "
            f"the recipe's limit is {limit:.2f}): errors on these calibration galaxies say nothing about the pool; "
            "add calibration galaxies that are like the pool"
        ))  # fmt: skip
    fit = np.array([part == "fit" for part in objects["half"].to_pylist()], bool)
    if int((fit & known).sum()) < MIN_SAMPLE:
        return _Weights(plain.weight, plain.counted, True, (
            "the pool differs from the calibration galaxies by its features, and the fitting half has too few galaxies "
            "to estimate weights from; add calibration galaxies"
        ))  # fmt: skip
    weight = np.zeros(n)  # an object without features has no density ratio
    weight[known] = density_weights(features[fit[known]], pool, features)
    counted = known.copy()
    counted[known] = rejection_sample(weight[known], objects["draw"].to_numpy()[known])
    return _Weights(weight, counted, True)


def _take(
    con: Connection, objects: pa.Table, found: dict[str, ClassCertificate], recipe: Recipe
) -> dict[str, tuple[ClassCertificate, float]]:
    """Choose threshold and share of each certified class; a quota lowers them to keep the pool's class balance."""
    certified = {name: c for name, c in found.items() if c.threshold is not None}
    quota = recipe.certificate.quota
    if quota == "none" or len(certified) < 2:
        return {name: (certificate, 1.0) for name, certificate in certified.items()}
    available = _pool_counts(con, certified)
    in_pool = dict(con.execute("SELECT predicted_label, count(*) FROM certifiable GROUP BY ALL").fetchall())
    # the class with the smallest certified fraction of its pool; the others promote no larger fraction of theirs
    scarce = min(
        (name for name in certified if in_pool.get(name)),
        key=lambda name: available[name][certified[name].accepted - 1] / in_pool[name],
        default=None,
    )
    taken = {}
    for name, certificate in certified.items():
        counts, place = available[name], certificate.accepted - 1
        if scarce is None or name == scarce or not counts[place]:
            taken[name] = (certificate, 1.0)
            continue
        allowed = available[scarce][certified[scarce].accepted - 1] * in_pool[name] // in_pool[scarce]
        if quota == "threshold":  # if the grid's strictest is still too loose, a share of it is promoted
            place = max([p for p in range(certificate.accepted) if counts[p] <= allowed], default=0)
            certificate = certificate.stricter(calibration_sample(objects, name, "certify"), place)
        taken[name] = (certificate, min(1.0, allowed / max(counts[place], 1)))
    return taken


def _pool_counts(con: Connection, certified: dict[str, ClassCertificate]) -> dict[str, list[int]]:
    rows = [
        {"class": name, "place": place, "threshold": threshold}
        for name, certificate in certified.items()
        for place, threshold in enumerate(certificate.grid)
    ]
    schema = pa.schema([("class", pa.string()), ("place", pa.int32()), ("threshold", pa.float32())])
    con.register("grids", pa.Table.from_pylist(rows, schema=schema))
    counts: dict[str, list[int]] = {name: [] for name in certified}
    for name, _, n in con.execute(query("decisions/certify_pool_counts")).fetchall():
        counts[name].append(n)
    return counts


def _cuts(plan: RoundPlan, taken: dict[str, tuple[ClassCertificate, float]]) -> pa.Table:
    rows = [
        {"survey": plan.recipe.sets.target, "class": name, "score": "calibrated",
         "threshold": certificate.threshold, "share": share, "certificate": certificate_id(plan.round, name)}
        for name, (certificate, share) in taken.items()
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=CUTS)


def _sentence(row: dict[str, object], found: ClassCertificate, promoted: int, recipe: Recipe) -> str:
    """Describe what was certified or refused for a class."""
    name, batch = row["class"], row["batch"]
    if row["verdict"] == "certified":
        new = f" ({promoted} of them newly promoted)" if recipe.teaching is not None else ""
        return (
            f"{batch} {name} certified at calibrated confidence {row['threshold']:.4f} and above{new}: at most "
            f"{found.alpha:.1%} of such galaxies are wrong, and at most {row['batch_errors']} of these {batch} "
            f"({row['errors']} errors among {row['n']} calibration galaxies)"
        )
    more = ""
    if found.needed is not None:
        left = "" if recipe.teaching is not None else " and taken by no earlier round"
        more = (
            f"; at least {found.needed} more calibration galaxies predicted {name}{left} are needed in the certifying "
            "half, and about as many in the fitting half"
        )
    return f"no {name} is promoted: {found.reason}{more}"
