"""Write the tables of a simulated survey, in the form of real ones: images, test sets, votes; and the truth."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from catbuilder.core.files import atomic_write
from catbuilder.simulation.galaxy import Galaxy, SetName, SurveyName
from catbuilder.simulation.volunteers import Votes

Split = Literal["train", "calibration", "pool"]

SEEN_BY: dict[SetName, tuple[SurveyName, ...]] = {
    "training": ("sdss",),
    "hp": ("sdss", "des"),
    "fo": ("sdss", "des"),
    "calibration": ("des",),
    "pool": ("des",),
}
_SPLITS: dict[SetName, Split] = {"training": "train", "calibration": "calibration", "pool": "pool"}
_TEST_SETS: dict[SetName, str] = {"hp": "HP", "fo": "FO"}


@dataclass(frozen=True)
class SimulatedTable:
    """A table, for `ingest images` if it has a `folder`, `testset` if it has a `test_set`, and `ingest gz1` else."""

    name: str
    survey: SurveyName
    table: Path
    folder: Path | None = None  # of the images; None for the table of a test set and for votes
    split: Split | None = None
    test_set: str | None = None


@dataclass(frozen=True)
class Sighting:
    """One object as listed by one survey."""

    galaxy: Galaxy
    votes: Votes | None  # if SDSS saw it
    survey: SurveyName
    object_id: int
    ra: float
    dec: float
    magnitudes: tuple[float, float, float]  # g, r, i


def write_tables(folder: Path, sightings: Sequence[Sighting]) -> Iterator[SimulatedTable]:
    """Write `truth.csv`, and yield the tables to ingest: images, true classes of the test sets, votes."""
    _write_table(folder / "truth.csv", [_truth_row(s) for s in sightings])
    for set_name in ("hp", "fo", "training", "calibration", "pool"):
        for survey in SEEN_BY[set_name]:
            members = [s for s in sightings if s.survey == survey and s.galaxy.set_name == set_name]
            if not members:
                continue
            split, test_set = _SPLITS.get(set_name), _TEST_SETS.get(set_name)
            table = folder / survey / f"{set_name}.csv"
            _write_table(table, [_ingest_row(s, labelled=split in ("train", "calibration")) for s in members])
            yield SimulatedTable(f"{survey} {set_name}", survey, table, folder / survey / set_name, split)
            if test_set is not None:
                table = folder / survey / f"{set_name}-truth.csv"
                _write_table(table, [_test_row(s) for s in members])
                yield SimulatedTable(f"{survey} {test_set} truth", survey, table, test_set=test_set)
    votes = [_vote_row(s, s.votes) for s in sightings if s.survey == "sdss" and s.votes is not None]
    if votes:
        table = folder / "sdss" / "votes.csv"
        _write_table(table, votes)
        yield SimulatedTable("sdss votes", "sdss", table)


def _ingest_row(s: Sighting, labelled: bool) -> dict[str, Any]:
    g, r, i = s.magnitudes
    return {
        "object_id": s.object_id,
        "file": f"{s.object_id}.png",
        "ra": f"{s.ra:.7f}",
        "dec": f"{s.dec:.7f}",
        **({"label": s.votes.label if s.votes else s.galaxy.label} if labelled else {}),
        "mag_g": f"{g:.4f}",
        "mag_r": f"{r:.4f}",
        "mag_i": f"{i:.4f}",
        "radius_arcsec": f"{s.galaxy.radius_arcsec:.3f}",
        # As the star/galaxy separation of a real catalogue.
        "domain": "star" if s.galaxy.label == "star" else "",
    }


def _test_row(s: Sighting) -> dict[str, Any]:
    """Give the true class of a test galaxy, and the debiased share of the votes for it."""
    votes = f"{s.votes.share(s.galaxy.label):.6f}" if s.votes else ""
    return {"object_id": s.object_id, "label": s.galaxy.label, "votes": votes}


def _vote_row(s: Sighting, votes: Votes) -> dict[str, Any]:
    """Give the votes on a galaxy in the columns of Galaxy Zoo 1, Table 2: shares, and flags for shares above 0.8."""
    counts = {
        "P_EL": votes.elliptical, "P_CW": votes.clockwise, "P_ACW": votes.anticlockwise, "P_EDGE": votes.edge_on,
        "P_DK": votes.do_not_know, "P_MG": votes.merger, "P_CS": votes.spiral,
    }  # fmt: skip
    sure = "none" if max(votes.elliptical_debiased, votes.spiral_debiased) <= 0.8 else votes.label
    return {
        "OBJID": s.object_id,
        "RA": f"{s.ra:.7f}",
        "DEC": f"{s.dec:.7f}",
        "NVOTE": votes.volunteers,
        **{name: f"{count / votes.volunteers:.4f}" for name, count in counts.items()},
        "P_EL_DEBIASED": f"{votes.elliptical_debiased:.6f}",
        "P_CS_DEBIASED": f"{votes.spiral_debiased:.6f}",
        "SPIRAL": int(sure == "spiral"),
        "ELLIPTICAL": int(sure == "elliptical"),
        "UNCERTAIN": int(sure == "none"),
    }


def count_wrong_labels(sources: Path) -> tuple[int, int]:
    """Count the training galaxies, and those whose label is not their true class."""
    labels = _read_column(sources / "sdss" / "training.csv", "label")
    truth = _read_column(sources / "truth.csv", "label")
    return len(labels), sum(truth[object_id] != label for object_id, label in labels.items())


def _read_column(path: Path, column: str) -> dict[str, str]:
    if not path.exists():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        return {row["object_id"]: row[column] for row in csv.DictReader(file)}


def _truth_row(s: Sighting) -> dict[str, Any]:
    """Collect the true values of an object; a value that does not apply to it is empty."""
    galaxy, exposure = s.galaxy, s.galaxy.exposure(s.survey)
    mag_g, mag_r, mag_i = galaxy.magnitudes()
    numbers = {
        "ra": galaxy.ra,
        "dec": galaxy.dec,
        "mag_g": mag_g,
        "mag_r": mag_r,
        "mag_i": mag_i,
        "radius_arcsec": galaxy.radius_arcsec,
        "n_sersic": galaxy.sersic,
        "bulge_fraction": galaxy.fraction("bulge"),
        "arm_fraction": galaxy.fraction("arms"),
        "bar_fraction": galaxy.fraction("bar"),
        "inclination_deg": galaxy.inclination_deg,
        "axis_ratio": galaxy.axis_ratio,
        "position_angle_deg": galaxy.position_angle_deg,
        "pitch_deg": galaxy.pitch_deg,
        "relative_seeing": exposure.seeing,
        "relative_noise": exposure.noise,
    }
    return {
        "survey": s.survey,
        "object_id": s.object_id,
        "galaxy": galaxy.number,
        "set": galaxy.set_name,
        "label": galaxy.label,
        "type": galaxy.kind,
        "fault": galaxy.fault,
        "arms": galaxy.arms,
        **{name: "" if math.isnan(value) else f"{value:.7g}" for name, value in numbers.items()},
    }


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    with atomic_write(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
