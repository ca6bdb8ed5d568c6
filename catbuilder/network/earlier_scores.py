"""Find what the networks of an earlier round gave for stamps that a mean of rounds scores again.

A round whose model is the mean of several rounds' networks keeps the posteriors of its own networks in files beside
those of the mean, so that the next round runs its newest networks alone. Without them the fifth round would score the
survey five times. An object counts as found only if it was scored from the very same stamp.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from catbuilder.network.jobs import EarlierRound, EarlierScoring

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class KnownScores:
    """Posteriors (n, classes) by a round's own networks, NaN where not known, and their mutual information (n), nats.

    Both are the float32 numbers of the files: a network that is run again gives these bits after rounding alone.
    """

    posteriors: Doubles
    mutual_information: Doubles  # 0 for a single network


class EarlierScores:
    """Reads the posteriors of one earlier round, of any part of a manifest.

    Parameters
    ----------
    earlier : the round, with its manifests and the files of its own networks' posteriors
    classes : in the order of the posteriors
    """

    def __init__(self, earlier: EarlierRound, classes: tuple[str, ...]) -> None:
        self._classes = classes
        self._scorings = [_open(scoring) for scoring in earlier.scorings]

    def of(self, rows: pa.Table) -> KnownScores:
        """Find the scores of these rows of a manifest, in their order."""
        posteriors = np.full((rows.num_rows, len(self._classes)), np.nan)
        information = np.zeros(rows.num_rows)
        surveys = np.asarray(rows["survey"].to_pylist())
        for survey in dict.fromkeys(surveys):
            places = np.flatnonzero(surveys == survey)
            wanted = rows.take(pa.array(places))
            for manifest, scores in self._scorings:
                table = scores.to_table(filter=_between(wanted, survey))
                known, at = _places(table["object_id"].to_numpy(), wanted["object_id"].to_numpy())
                known &= _same_stamps(wanted, manifest, survey)
                for number, name in enumerate(self._classes):
                    posteriors[places[known], number] = table[f"p_{name}"].to_numpy()[at[known]]
                if "mutual_information" in table.column_names:
                    information[places[known]] = table["mutual_information"].to_numpy()[at[known]]
        return KnownScores(posteriors, information)


def _open(scoring: EarlierScoring) -> tuple[ds.Dataset, ds.Dataset]:
    """Open the manifest and the posteriors of a scoring, without reading them."""
    shards = [str(shard) for shard in scoring.shards]
    return ds.dataset(str(scoring.manifest), format="parquet"), ds.dataset(shards, format="parquet")


def _between(rows: pa.Table, survey: str) -> ds.Expression:
    """Select the range of ids that holds the rows: files are sorted by it, so that others are not read."""
    limits = pc.min_max(rows["object_id"])
    return (
        (ds.field("survey") == survey)
        & (ds.field("object_id") >= limits["min"])
        & (ds.field("object_id") <= limits["max"])
    )


def _same_stamps(rows: pa.Table, manifest: ds.Dataset, survey: str) -> npt.NDArray[np.bool_]:
    """Tell for each row whether the manifest has its object with the same stamp."""
    columns = ["object_id", "shard", "row"]
    then = manifest.to_table(columns=columns, filter=_between(rows, survey))
    found, at = _places(then["object_id"].to_numpy(), rows["object_id"].to_numpy())
    same = then.take(pa.array(at)) if then.num_rows else rows
    return (
        found
        & (same["row"].to_numpy() == rows["row"].to_numpy())
        & np.asarray(pc.equal(same["shard"].cast(pa.string()), rows["shard"].cast(pa.string())))
    )


def _places(known: Ints, wanted: Ints) -> tuple[npt.NDArray[np.bool_], Ints]:
    """Find each wanted id among sorted known ones: whether it is there, and where (a valid place in any case)."""
    if not len(known):
        return np.zeros(len(wanted), bool), np.zeros(len(wanted), np.int64)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return known[at] == wanted, at
