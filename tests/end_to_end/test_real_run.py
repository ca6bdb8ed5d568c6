"""The real run's script on real galaxies, with the smallest network: what it must do, not how well.

The metrics on HP that this leaves in a temporary folder are looked at by nobody.
"""

from pathlib import Path

import pytest
from support.command_line import CommandLine
from support.contents import rows
from support.script_here import run_script
from support.small_survey import write_recipe

from catbuilder.catalogue.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.timeout(1600),
    pytest.mark.skipif(not DATA.is_dir(), reason="the optional folder ../shared/data is not here"),
]


# Every n-th image of these folders is taken: they are only ingested, guarded against and scored.
EVERY = {"sdss_s82": 8, "des_pool": 4, "des_fo": 2, "decals": 3}


def fewer_data(folder: Path) -> Path:
    """The data with some of the images whose number proves nothing."""
    folder.mkdir()
    for entry in DATA.iterdir():
        if entry.name not in EVERY:
            (folder / entry.name).symlink_to(entry)
    for name, every in EVERY.items():
        (folder / name).mkdir()
        (folder / name / "images").symlink_to(DATA / name / "images")
        header, *rows = (DATA / name / "objects.csv").read_text().splitlines(keepends=True)
        (folder / name / "objects.csv").write_text("".join([header, *rows[::every]]))
    return folder


@pytest.fixture(scope="module")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = tmp_path_factory.mktemp("real") / "ws"
    recipe = write_recipe(workspace.parent / "tiny.toml", batch_size=32, scored_at_once=64, symmetries=1, epochs=1)
    settings = {"RECIPE": str(recipe), "ROUNDS": "1", "NP": "1", "LABELLED": "80"}
    run_script(ROOT / "scripts" / "real_galaxies.sh", fewer_data(workspace.parent / "data"), workspace, **settings)
    return Workspace.open(workspace)


def test_every_object_of_the_des_pool_has_a_class(real_run: Workspace) -> None:
    with real_run.reading() as con:
        found = con.execute(
            "SELECT coalesce(label, predicted_label) FROM catalog "
            "WHERE survey = 'des' AND split = 'pool' AND test_set IS NULL AND quality IS NOT NULL"
        ).fetchall()
    assert len(found) == 124
    assert all(name in ("elliptical", "spiral") for (name,) in found)


def test_the_test_galaxies_are_scored_but_never_trained_on_or_promoted(real_run: Workspace) -> None:
    with real_run.reading() as con:
        sets = con.execute(
            "SELECT name, survey, count(*), count(quality), count(model), count(label), count(*) FILTER (in_training) "
            "FROM (SELECT unnest(string_split(test_set, ',')) AS name, * FROM catalog WHERE test_set IS NOT NULL) "
            "GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    found = {(name, survey): numbers for name, survey, *numbers in sets}
    # one HP stamp of DES is black: it keeps its row, and is not scored
    assert found["HP", "des"] == [1066, 66, 65, 0, 0]
    assert found["HP", "sdss"] == [1066, 66, 66, 0, 0]
    assert found["FO_unnamed", "des"] == [50, 50, 50, 0, 0]
    members, images, scored, labelled, trained = found["FO", "sdss"]
    assert members == 13_853 and 60 < images < 90 and 60 < scored <= images and (labelled, trained) == (0, 0)


def test_decam_labels_validate_and_do_not_train(real_run: Workspace) -> None:
    with real_run.reading() as con:
        roles = con.execute("SELECT DISTINCT role FROM training WHERE survey = 'decals'").fetchall()
    assert roles == [("validation",)]


def test_the_catalogue_is_exported(real_run: Workspace) -> None:
    assert (real_run.path / "real.fits").stat().st_size > 100_000


def test_a_certified_round_is_refused_at_once(real_run: Workspace, tiny_recipe: Path) -> None:
    """No DES galaxy that was drawn for calibration has an image; those of HP and FO have one and may not be used."""
    recorded = "SELECT (SELECT max(run) FROM runs), (SELECT list(round || ' ' || step ORDER BY run) FROM steps)"
    before = rows(real_run, recorded)
    arguments = ("round", "--recipe", tiny_recipe, "--set", "promotion.policy=certified")
    said = CommandLine(real_run.path, tiny_recipe)(*arguments, expect=1)
    assert said.count("\n") == 1 and said.startswith("Error: the policy certified cannot certify anything: ")
    assert "no DES calibration labels with an image" in said and "HP and FO are test sets and may not be used" in said
    assert rows(real_run, recorded) == before and "1 closed" in str(before), "only the round of top_k"
