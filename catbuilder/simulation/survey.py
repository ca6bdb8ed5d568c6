"""Simulate a survey with known classes: write stamps and tables, then ingest them like a user would.

Every object has its own random stream, so the files are the same, byte for byte, with any number of processes. A galaxy
that both surveys see has an id in each (18 digits in SDSS, beyond what a float holds; 9 in DES). Ids are assigned at
random, so an id reveals nothing about the galaxy. Positions in the two surveys differ by up to 0.1 arcsec.

Training galaxies are labelled by the volunteers' votes, as on the real sky, and a few of these labels are wrong. The
classes of test and calibration galaxies are the true ones. The votes on what SDSS saw are written in the columns of
Galaxy Zoo 1 (`sdss/votes.csv`).
"""

import json
import math
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from catbuilder.catalogue.new_workspace import create_workspace
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.arguments import INT64_MAX, require_number_in
from catbuilder.core.cluster import HERE, connected
from catbuilder.core.errors import InputError
from catbuilder.core.files import write_text
from catbuilder.core.paths import named_path
from catbuilder.core.progress import Reporter
from catbuilder.core.tasks import Task, map_tasks
from catbuilder.ingest.images import ingest_images
from catbuilder.ingest.tables.survey_catalogue import ingest_survey
from catbuilder.sets.testsets import add_test_set
from catbuilder.simulation.galaxies import SurveyPlan, draw_voted_galaxies
from catbuilder.simulation.galaxy import Galaxy, SurveyName, random_stream
from catbuilder.simulation.source_tables import SEEN_BY, Sighting, SimulatedTable, count_wrong_labels, write_tables
from catbuilder.simulation.telescopes import arcsec_per_pixel, write_stamps
from catbuilder.simulation.volunteers import Votes

_FIRST_ID: dict[SurveyName, int] = {"sdss": 587724240151707767, "des": 310493763}
_MOST_GALAXIES = 10_000_000  # of a set; each is an image file
_BATCH = 16  # galaxies a task: half a second of work
_VERSION = 2  # of the simulator: another one draws other galaxies from the same seed


@dataclass(frozen=True)
class SimulationReport:
    """Tables that `simulate` wrote and ingested.

    Attributes
    ----------
    sources : Path
        Folder of the stamps and tables.
    tables : tuple[SimulatedTable, ...]
        The tables written.
    training : int
        Number of training galaxies, after the cut on votes.
    wrong_labels : int
        Number of these whose label, that of the votes, is not their true class.
    """

    sources: Path
    tables: tuple[SimulatedTable, ...]
    training: int
    wrong_labels: int

    def sentences(self) -> list[str]:
        """Describe the report, one sentence an item."""
        text = [f"Simulated {len(self.tables)} tables in {self.sources} and ingested them."]
        if self.training:
            text.append(
                f"{self.training:,} training galaxies have clean votes, which label them; {self.wrong_labels:,} of "
                "these labels are wrong."
            )
        return text


def simulate(
    workspace: str | Path,
    plan: SurveyPlan | int | None = None,
    *,
    seed: int = 0,
    stamp_size: int = 64,
    processes: int | None = None,
    cluster: str = "",
    reporter: Reporter | None = None,
) -> SimulationReport:
    """Simulate a survey into `<workspace>/sources` and ingest it.

    An interrupted simulation continues with the same call. Test sets are declared before anything else is ingested, so
    the firewall works from the start. Training galaxies are labelled by simulated volunteers, whose votes are ingested
    as those of Galaxy Zoo 1 are. The classes of test and calibration galaxies are the true ones.

    Parameters
    ----------
    workspace : Path
        Folder of the workspace; it is made if it is not there.
    plan : SurveyPlan or int, optional
        Numbers of galaxies in each set, or the number in all, 200 or more. Those of training and HP count what is left
        after the cut on votes.
    seed : int
        Seed of the sky.
    stamp_size : int
        Width of an SDSS stamp in pixels; a DES stamp covers the same angle.
    processes : int, optional
        Number of drawing processes; by default one a core. A cluster draws on all of its cores.
    cluster : str
        Ray cluster whose nodes share the work, as `auto`, `local`, `ray://HOST:PORT` or `HOST:PORT`; by default
        processes of this machine. The files do not depend on it.
    reporter : Reporter, optional
        Shows progress; by default nothing is printed.

    Returns
    -------
    SimulationReport
        The tables that were written and ingested.

    Raises
    ------
    InputError
        The folder already holds the sources of another plan, seed, stamp size or version of the simulator.

    Examples
    --------
    >>> catbuilder.simulate("demo", 2700, seed=1)
    >>> workspace = catbuilder.open_workspace("demo")
    """
    workspace = named_path(workspace, "the folder of the workspace")
    require_number_in(seed, 0, INT64_MAX, "the seed")
    if not isinstance(plan, SurveyPlan):
        plan = SurveyPlan() if plan is None else SurveyPlan.scaled_to(plan)
    for name, size in vars(plan).items():
        require_number_in(size, 0, _MOST_GALAXIES, f"the number of galaxies for {name}")
    reporter = reporter or Reporter(quiet=True)
    exists = (workspace / "catbuilder.toml").is_file()
    opened = (
        Workspace.open(workspace)
        if exists
        else create_workspace(workspace, classes=("elliptical", "spiral"), stamp_size=stamp_size, recipe="demo")
    )
    with connected(cluster, reporter.say, HERE):
        tables = simulate_sources(workspace / "sources", plan, seed, stamp_size, processes, reporter)
    with opened.reading() as con:
        declared = set(con.execute("SELECT DISTINCT test_set, survey FROM test_sets").fetchall())
    for table in tables:
        if (table.test_set, table.survey) in declared:
            continue
        if table.test_set is not None:
            add_test_set(opened, table.test_set, table.table, survey=table.survey)
        elif table.folder is not None:
            _ingest(opened, table, table.folder, reporter)
        else:
            ingest_survey(opened, table.table, "gz1", survey=table.survey)
    training, wrong = count_wrong_labels(workspace / "sources")
    return SimulationReport(workspace / "sources", tuple(tables), training, wrong)


def _ingest(workspace: Workspace, table: SimulatedTable, folder: Path, reporter: Reporter) -> None:
    with reporter.bar(f"Ingesting {table.name}") as update:
        ingest_images(
            workspace,
            folder,
            table.table,
            survey=table.survey,
            split=table.split,
            source="galaxy_zoo" if table.split == "train" else "imported",
            # The same for all sets of a survey, since they are drawn in the same way.
            rendering=f"catbuilder simulate, {table.survey}",
            arcsec_per_pixel=arcsec_per_pixel(table.survey),
            progress=update,
        )


def simulate_sources(
    folder: Path,
    plan: SurveyPlan,
    seed: int,
    stamp_size: int = 64,
    processes: int | None = None,
    reporter: Reporter | None = None,
) -> list[SimulatedTable]:
    """Write the stamps, the tables to ingest them with, and `truth.csv`, which has the true values.

    Parameters
    ----------
    folder : Path
        Gets `<survey>/<set>/<object_id>.png` (8-bit RGB), `<survey>/<set>.csv`, `sdss/votes.csv`, `truth.csv` and
        `plan.json`.
    stamp_size : int
        Width of an SDSS stamp in its own pixels of 0.396 arcsec; a DES stamp covers the same angle.
    processes : int, optional
        Number of drawing processes; by default one a core. The files do not depend on it.
    reporter : Reporter, optional
        Shows progress; by default nothing is printed.

    Returns
    -------
    list of SimulatedTable
        In the order in which to ingest them: test sets first.

    Raises
    ------
    InputError
        The folder already holds the sources of another plan, seed, stamp size or version of the simulator.
    """
    _claim(folder, plan, seed, stamp_size)
    sightings = _sightings(draw_voted_galaxies(plan, seed), seed)
    for survey, set_name in {(s.survey, s.galaxy.set_name) for s in sightings}:
        (folder / survey / set_name).mkdir(parents=True, exist_ok=True)
    _draw_all(folder, _files(folder, sightings), stamp_size, seed, processes, reporter or Reporter(quiet=True))
    return list(write_tables(folder, sightings))


def _claim(folder: Path, plan: SurveyPlan, seed: int, stamp_size: int) -> None:
    """Write the settings into `plan.json`; refuse a folder in which other settings were used."""
    settings = (
        json.dumps({"simulator": _VERSION, "seed": seed, "stamp_size": stamp_size, **asdict(plan)}, indent=1) + "\n"
    )
    note = folder / "plan.json"
    if note.exists() and note.read_text(encoding="utf-8") != settings:
        raise InputError(
            f"{folder} holds a survey simulated with another plan, seed, stamp size or version of the simulator (see "
            f"{note}); give the same ones, or another folder"
        )
    write_text(note, settings)


def _sightings(galaxies: Sequence[tuple[Galaxy, Votes | None]], seed: int) -> list[Sighting]:
    """List the objects of each survey, ordered by survey and object id."""
    listed = []
    rng = random_stream(seed, 1, "survey")
    for survey in ("sdss", "des"):
        seen = [(galaxy, votes) for galaxy, votes in galaxies if survey in SEEN_BY[galaxy.set_name]]
        ids = _FIRST_ID[survey] + rng.permutation(len(seen))
        listed += [_sighting(*one, survey, int(i), rng) for one, i in zip(seen, ids, strict=True)]
    return sorted(listed, key=lambda s: (s.survey, s.object_id))


def _sighting(
    galaxy: Galaxy, votes: Votes | None, survey: SurveyName, object_id: int, rng: np.random.Generator
) -> Sighting:
    # At most 0.05 arcsec in each survey, so that the two positions differ by 0.1 at most.
    offset, angle = rng.uniform(0, 0.05) / 3600, rng.uniform(0, 2 * math.pi)
    g, r, i = np.array(galaxy.magnitudes()) + rng.normal(0, 0.02 if survey == "sdss" else 0.01, 3)
    return Sighting(
        galaxy=galaxy,
        votes=votes,
        survey=survey,
        object_id=object_id,
        ra=(galaxy.ra + offset * math.cos(angle) / math.cos(math.radians(galaxy.dec))) % 360.0,
        dec=galaxy.dec + offset * math.sin(angle),
        magnitudes=(float(g), float(r), float(i)),
    )


def _files(folder: Path, sightings: Iterable[Sighting]) -> list[tuple[Galaxy, dict[str, Path]]]:
    """List each galaxy with the stamp file in each survey that sees it."""
    files: dict[int, tuple[Galaxy, dict[str, Path]]] = {}
    for s in sightings:
        path = folder / s.survey / s.galaxy.set_name / f"{s.object_id}.png"
        files.setdefault(s.galaxy.number, (s.galaxy, {}))[1][s.survey] = path
    return list(files.values())


def _draw_all(
    folder: Path, work: list[tuple[Galaxy, dict[str, Path]]], pixels: int, seed: int, processes: int | None,
    reporter: Reporter,
) -> None:  # fmt: skip
    """Draw all stamps on all cores."""
    batches = [work[start : start + _BATCH] for start in range(0, len(work), _BATCH)]
    draw = partial(write_stamps, sdss_pixels=pixels, seed=seed)
    drawing = Task(draw, "draws galaxies", writes=folder)
    done = 0
    with reporter.bar("Drawing galaxies") as update, closing(map_tasks(drawing, batches, processes)) as counts:
        for count in counts:
            done += count
            update(done, len(work))
