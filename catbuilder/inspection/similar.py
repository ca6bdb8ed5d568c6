"""Find objects that look like a given one: nearest neighbours in the feature space of a round's network.

The distance is the cosine distance of the activations of the last hidden layer. Features are kept for all test and
calibration objects and for samples of the pool and the training objects; neighbours come from these. The features of an
object outside these samples are computed from its stamp with the same network.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, first_row, literal_path
from catbuilder.catalogue.features import feature_files
from catbuilder.catalogue.id_ranges import IdRange, restricted_to
from catbuilder.catalogue.round_records import require_round
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import NothingToScore, RoundError
from catbuilder.core.resources import query
from catbuilder.inspection.why import find_object

if TYPE_CHECKING:
    from catbuilder.catalogue.round_records import RoundPlan


@dataclass(frozen=True)
class Neighbour:
    """A similar object, and its current row in the catalogue.

    Attributes
    ----------
    survey : str
        Survey of the object.
    object_id : int
        Id of the object in its survey.
    distance : float
        Cosine distance of the features: 0 for the same direction, 1 for orthogonal.
    label : str or None
        Current label.
    source : str or None
        Source of the label.
    predicted_label : str or None
        Predicted class.
    predicted_confidence : float or None
        Confidence of the prediction, from 0 to 1.
    domain : str or None
        Whether the object belongs to the target population, as in `catalog`.
    """

    survey: str
    object_id: int
    distance: float
    label: str | None
    source: str | None
    predicted_label: str | None
    predicted_confidence: float | None
    domain: str | None


@dataclass(frozen=True)
class SimilarObjects:
    """The objects that look most like one, the nearest first.

    Attributes
    ----------
    survey : str
        Survey of the object that was asked about.
    object_id : int
        Id of that object.
    round : int
        Round of the network whose features were compared.
    neighbours : tuple[Neighbour, ...]
        The similar objects.
    """

    survey: str
    object_id: int
    round: int
    neighbours: tuple[Neighbour, ...]

    def table(self) -> pa.Table:
        """Return one row per neighbour, with the fields of `Neighbour`."""
        return pa.Table.from_pylist([vars(one) for one in self.neighbours], schema=_SCHEMA)

    def sentences(self) -> list[str]:
        """Return the result as sentences."""
        return [
            f"The {len(self.neighbours)} objects most like {self.survey} {self.object_id}, the nearest first, by the "
            f"network of round {self.round}."
        ]


def similar(
    workspace: Workspace,
    object_id: str | int,
    n: int = 20,
    *,
    survey: str | None = None,
    round_number: int | None = None,
) -> SimilarObjects:
    """Find the n objects that look most like one, the nearest first, among those whose features were kept.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    object_id : str or int
        Id of the object in its survey.
    n : int
        Largest number of neighbours; default 20.
    survey : str, optional
        Survey of the object; it may be left out if only one survey has the id.
    round_number : int, optional
        Round of the network; by default the latest closed round that kept features.

    Returns
    -------
    SimilarObjects
        The neighbours, each with its cosine distance and its row of the catalogue.

    Raises
    ------
    ObjectNotFound
        No survey has the id, or several have it and `survey` is None.
    RoundError
        There is no such round, it is not closed, or it kept no features.
    NothingToScore
        The features of the object were not kept, and it has no good stamp to compute them from.

    Examples
    --------
    >>> catbuilder.similar(workspace, 310493763, n=5, survey="des").table()
    """
    with workspace.reading() as con:
        survey, number = find_object(con, str(object_id), survey)
        chosen = _round_with_features(con, workspace, round_number)
        files = [literal_path(file) for file in _files(workspace, chosen)]
        features = _kept_features(con, files, survey, number)
        if features is None:
            place = _stamp_of(con, survey, number)
            plan = _plan(con, chosen)
    if features is None:
        features = _embed(workspace, plan, place)
    with workspace.reading() as con:
        asked = {"files": files, "features": features, "survey": survey, "object_id": number, "n": n}
        found = fetch_arrow(con, query("inspection/similar_objects"), asked)
        con.register("arrow_found", found)
        con.execute("CREATE OR REPLACE TEMP TABLE found AS SELECT * FROM arrow_found")
        with restricted_to(con, "found"):
            rows = fetch_arrow(con, query("inspection/similar_in_catalogue")).to_pylist()
    return SimilarObjects(survey, number, chosen, tuple(Neighbour(**row) for row in rows))


def draw_similar(workspace: Workspace, found: SimilarObjects, file: Path) -> int:
    """Draw the object and its neighbours with `draw_mosaic`, and return the number of them with an image."""
    from catbuilder.inspection.mosaic import MosaicStamp, draw_mosaic  # matplotlib takes a second to import

    object_name = f"{found.survey} {found.object_id}"
    pictures = [MosaicStamp(found.survey, found.object_id, f"{object_name}\nthe object itself")]
    for one in found.neighbours:
        name = one.label or (f"{one.predicted_label}?" if one.predicted_label else "unknown")
        pictures.append(
            MosaicStamp(one.survey, one.object_id, f"{one.survey} {one.object_id}\n{name}, {one.distance:.3f}")
        )
    return draw_mosaic(workspace, pictures, file, title=f"objects like {object_name}")


_SCHEMA = pa.schema(
    [
        ("survey", pa.string()), ("object_id", pa.int64()), ("distance", pa.float64()), ("label", pa.string()),
        ("source", pa.string()), ("predicted_label", pa.string()), ("predicted_confidence", pa.float64()),
        ("domain", pa.string()),
    ]
)  # fmt: skip


def _round_with_features(con: Connection, workspace: Workspace, round_number: int | None) -> int:
    if round_number is not None:
        require_round(con, round_number)
    rows = con.execute("SELECT round FROM round_status WHERE step = 'closed' ORDER BY round DESC").fetchall()
    closed = [number for (number,) in rows if round_number in (None, number)]
    for number in closed:
        if _files(workspace, number):
            return int(number)
    if round_number is not None and not closed:
        raise RoundError(f"round {round_number} is not closed yet; finish it with: catbuilder round")
    which = "no closed round kept" if round_number is None else f"round {round_number} kept no"
    raise RoundError(
        f"{which} features to compare objects by; run a round with: catbuilder round, with a recipe whose "
        "scoring.pool_features or scoring.labelled_features is above 0"
    )


def _files(workspace: Workspace, number: int) -> list[Path]:
    """List the feature shards of the round's own scoring and of later ones by its model (`catbuilder score`)."""
    folder = workspace.round_folder(number)
    return [file for place in (folder, *sorted(folder.glob("later/*"))) for file in feature_files(place)]


def _kept_features(con: Connection, files: list[str], survey: str, number: int) -> list[float] | None:
    text = "SELECT features FROM read_parquet(?, hive_partitioning = false) WHERE survey = ? AND object_id = ?"
    row = first_row(con, text, [files, survey, number])
    return None if row is None else list(row[0])


def _stamp_of(con: Connection, survey: str, number: int) -> tuple[str, int]:
    """Return shard and row of the object's stamp."""
    with restricted_to(con, IdRange(survey, number, number)):
        rows = fetch_arrow(con, query("inspection/stamp_places")).to_pylist()
    if not rows or rows[0]["quality"] != "ok":
        what = f"a stamp that is {rows[0]['quality']}" if rows else "no image"
        raise NothingToScore(
            f"{survey} {number} has {what} and no kept features, so it cannot be compared; add a good image with: "
            "catbuilder ingest images DIR --table T.csv, or catbuilder fetch"
        )
    return rows[0]["shard"], rows[0]["row"]


def _plan(con: Connection, number: int) -> "RoundPlan":
    from catbuilder.catalogue.round_records import read_plan

    return read_plan(con, number)


def _embed(workspace: Workspace, plan: "RoundPlan", place: tuple[str, int]) -> list[float]:
    """Compute the features of one stamp with the round's network, as scoring does."""
    import torch

    from catbuilder.core.stamps import StampReader
    from catbuilder.network.checkpoint import load_model
    from catbuilder.network.scorer import Scorer
    from catbuilder.rounds.training import verified_models

    shard, row = place
    network, _ = load_model(verified_models(workspace, plan)[0])
    recipe = plan.recipe
    # the batch size of the round: the last digits of the features depend on it
    scorer = Scorer(
        network, recipe.scoring.batch_size, recipe.scoring.symmetries, recipe.scores_in_bf16,
        recipe.training.channels_last,
    )  # fmt: skip
    stamp = StampReader(workspace.path, [shard], [row]).read([0])
    return [float(value) for value in scorer.score(torch.from_numpy(stamp)).features[0]]
