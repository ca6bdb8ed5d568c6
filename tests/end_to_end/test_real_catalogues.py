"""Real images given by position beside the real catalogues: which become whose, and what stays out of training."""

from pathlib import Path

import numpy as np
import pytest
from support.new_workspace import create_workspace
from support.workspaces import ask, cli

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.recipe import load_recipe
from catbuilder.core.sky import nearest
from catbuilder.sets.training_manifest import choose_training

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the optional folder ../shared/data is not here"),
]


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The three catalogues, some SDSS spirals with labels and images without, assembled with the paper's HP."""
    workspace = create_workspace(tmp_path_factory.mktemp("sky") / "ws", stamp_size=64)
    catalogs = DATA / "catalogs"

    def images(name: str, table: str, every: int) -> tuple[object, ...]:
        """Take every n-th image of a folder: to read them all takes most of the time of these tests."""
        header, *listed = (DATA / name / table).read_text().splitlines(keepends=True)
        some = workspace.path.parent / f"{name}.csv"
        some.write_text(header + "".join(listed[::every]))
        return ("images", DATA / name / "images", "--table", some, "--survey", "sdss")

    for words in (
        ("ingest", *images("sdss_gz1_spirals", "labels.csv", 3)),
        ("ingest", *images("sdss_s82", "objects.csv", 4), "--split", "none"),
        ("ingest", *images("sdss_gz2", "labels.csv", 16)),
        ("ingest", "gz1", catalogs / "gz1_table2.csv"),
        ("ingest", "sdss", catalogs / "sdss_dr7_photoobj.csv.gz"),
        ("ingest", "des", catalogs / "des_dr1_main.fits"),
        ("crossmatch", "--radius", "1"),
        ("assemble", "--hp", catalogs / "hp_test_set.csv"),
    ):
        done = cli("-w", workspace.path, *words)
        assert done.code == 0, done
    return workspace


def test_every_spiral_near_a_test_or_calibration_galaxy_stays_out_of_training(sky: Workspace) -> None:
    names = np.array(ask(sky, "SELECT DISTINCT object_id FROM stamps WHERE file LIKE '%sdss_gz1_spirals%'")).ravel()
    where = {i: (ra, dec) for i, ra, dec in ask(sky, "SELECT object_id, ra, dec FROM objects WHERE ra IS NOT NULL")}
    guarded = "SELECT object_id FROM test_sets UNION SELECT object_id FROM splits WHERE split = 'calibration'"
    tests = [where[i] for (i,) in ask(sky, guarded) if i in where]
    images = [i for i in names if 810_000_000 < i < 820_000_000]
    assert len(images) == 500
    _, separation = nearest(
        [where[i][0] for i in images], [where[i][1] for i in images], [t[0] for t in tests], [t[1] for t in tests]
    )
    near = {i for i, apart in zip(images, separation, strict=True) if apart <= 5.0}
    assert len(near) >= 90
    with sky.reading() as con:
        choose_training(sky, con, 1, load_recipe("real"))
        trained = {i for (i,) in con.execute("SELECT object_id FROM temp.training_rows").fetchall()}
    taken = {of for _, of in ask(sky, "SELECT object_id, of_object_id FROM aliases") if of in trained}
    members = {i for (i,) in ask(sky, guarded)}
    assert not near & trained and not taken & members and not trained & members
    assert len(trained) > 330  # what is far from every test galaxy does train


def test_images_of_stripe_82_take_the_ids_and_votes_of_their_galaxies(sky: Workspace) -> None:
    rows = ask(
        sky,
        "SELECT c.votes, c.quality FROM aliases AS a "
        "JOIN catalog AS c ON c.survey = a.survey AND c.object_id = a.of_object_id "
        "WHERE a.object_id BETWEEN 820000000 AND 829999999",
    )
    assert 30 <= len(rows) <= 40
    assert all(quality is not None for _, quality in rows)
    assert sum(votes is not None for votes, _ in rows) >= 30
