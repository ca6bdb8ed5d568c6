"""The simulated survey: known classes, files that depend only on the seed, and galaxies a network can learn from."""

import csv
import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError
from catbuilder.simulation.galaxies import SurveyPlan, draw_galaxies
from catbuilder.simulation.survey import SimulatedTable, simulate, simulate_sources
from catbuilder.simulation.telescopes import arcsec_per_pixel

PLAN = SurveyPlan(training=20, hp=24, fo=24, calibration=10, pool=24, faults=8)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[SimulatedTable]]:
    folder = tmp_path_factory.mktemp("sources")
    return folder, simulate_sources(folder, PLAN, seed=11, processes=1)


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def grey(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("L").resize((48, 48), Image.Resampling.BOX), float)


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Chance that a positive value is above a negative one."""
    return float((positive[:, None] > negative[None, :]).mean())


def test_files_are_the_same_bytes_for_one_and_two_processes(sources, tmp_path):
    simulate_sources(tmp_path, PLAN, seed=11, processes=2)
    assert hashes(tmp_path) == hashes(sources[0])


def test_another_seed_gives_other_galaxies(sources, tmp_path):
    small = SurveyPlan(training=2, hp=0, fo=0, calibration=0, pool=0, faults=0)
    simulate_sources(tmp_path / "a", small, seed=11, processes=1)
    simulate_sources(tmp_path / "b", small, seed=12, processes=1)
    pngs = [{h for name, h in hashes(tmp_path / k).items() if name.endswith(".png")} for k in "ab"]
    assert len(pngs[0]) == 2
    assert not pngs[0] & pngs[1]


def test_another_seed_in_the_same_folder_is_refused(tmp_path):
    small = SurveyPlan(training=1, hp=0, fo=0, calibration=0, pool=0, faults=0)
    simulate_sources(tmp_path, small, seed=1)
    before = hashes(tmp_path)
    simulate_sources(tmp_path, small, seed=1)
    assert hashes(tmp_path) == before
    with pytest.raises(InputError, match="another plan, seed, stamp size or version"):
        simulate_sources(tmp_path, small, seed=2)


def test_every_set_has_its_size_and_every_row_its_image(sources):
    expected = {
        "sdss hp": 24, "des hp": 24, "sdss fo": 24, "des fo": 24,
        "sdss training": 20, "des calibration": 10, "des pool": 24,
        "sdss HP truth": 24, "des HP truth": 24, "sdss FO truth": 24, "des FO truth": 24,
        "sdss votes": 68,
    }  # fmt: skip
    assert {t.name: len(rows_of(t.table)) for t in sources[1]} == expected
    for table in sources[1]:
        if table.folder is not None:
            named = {row["file"] for row in rows_of(table.table)}
            assert named == {path.name for path in table.folder.iterdir()}


def test_tables_have_the_survey_and_split_to_ingest_them_with(sources):
    splits = {t.name: t.split for t in sources[1] if t.split}
    assert splits == {"sdss training": "train", "des calibration": "calibration", "des pool": "pool"}
    assert [t.test_set for t in sources[1] if t.test_set] == ["HP", "HP", "FO", "FO"]
    labelled = {t.name for t in sources[1] if t.folder is not None and "label" in rows_of(t.table)[0]}
    assert labelled == {"sdss training", "des calibration"}, (
        "the truth of the other sets must not leak into the catalogue"
    )


def test_ids_survive_the_table_beyond_what_a_float_holds(sources):
    tables = {t.name: rows_of(t.table) for t in sources[1]}
    sdss = [int(row["object_id"]) for name in ("sdss training", "sdss hp", "sdss fo") for row in tables[name]]
    assert min(sdss) > 2**53
    assert len(set(sdss)) == len(sdss) > len({float(i) for i in sdss})
    assert all(len(row["object_id"]) == 9 for row in tables["des pool"])


def test_ids_are_independent_of_the_class(sources):
    training = next(t for t in sources[1] if t.split == "train")
    labels = [row["label"] for row in sorted(rows_of(training.table), key=lambda row: int(row["object_id"]))]
    assert labels not in (sorted(labels), sorted(labels, reverse=True))


def test_every_row_has_its_truth(sources):
    truth = {(row["survey"], row["object_id"]): row for row in rows_of(sources[0] / "truth.csv")}
    for table in sources[1]:
        for row in rows_of(table.table):
            known = truth[table.survey, row.get("object_id") or row["OBJID"]]
            if row.get("label") and table.split != "train":  # training labels are votes, and some are wrong
                assert known["label"] == row["label"]
    assert len(truth) == 20 + 2 * 24 + 2 * 24 + 10 + 24


def test_the_pool_holds_all_kinds_of_fault(sources):
    faults = [row for row in rows_of(sources[0] / "truth.csv") if row["fault"]]
    assert sorted(row["fault"] for row in faults) == sorted(["blank", "saturated", "blended", "star"] * 2)
    assert {row["set"] for row in faults} == {"pool"}
    assert {row["label"] for row in faults if row["fault"] == "blank"} == {"none"}
    stars = {row["object_id"] for row in faults if row["fault"] == "star"}
    pool = next(t for t in sources[1] if t.split == "pool")
    assert {row["object_id"] for row in rows_of(pool.table) if row["domain"] == "star"} == stars


def test_a_blank_stamp_is_black_and_a_saturated_one_has_a_bleeding_column(sources):
    for row in rows_of(sources[0] / "truth.csv"):
        pixels = np.asarray(Image.open(sources[0] / row["survey"] / row["set"] / f"{row['object_id']}.png"))
        if row["fault"] == "blank":
            assert not pixels.any()
        elif row["fault"] == "saturated":
            assert (pixels.max(axis=2).min(axis=0) > 200).sum() >= 2
        else:
            assert pixels.std() > 3


def test_both_surveys_cover_the_same_angle_at_their_own_pixels(sources):
    tables = {t.name: t for t in sources[1] if t.folder is not None}
    sizes = {}
    for name in ("sdss hp", "des hp"):
        table = tables[name]
        sizes[name] = Image.open(table.folder / rows_of(table.table)[0]["file"]).size
    assert sizes["sdss hp"] == (64, 64)
    assert sizes["des hp"] == (96, 96)
    assert arcsec_per_pixel("des") * 96 == pytest.approx(arcsec_per_pixel("sdss") * 64, rel=0.01)


def test_the_two_surveys_see_the_same_galaxy(sources):
    folder, truth = sources[0], [row for row in rows_of(sources[0] / "truth.csv") if row["set"] == "hp"]
    stamps: dict[str, dict[str, np.ndarray]] = {"sdss": {}, "des": {}}
    for row in truth:
        stamp = grey(folder / row["survey"] / "hp" / f"{row['object_id']}.png")
        stamps[row["survey"]][row["galaxy"]] = stamp.ravel()
    galaxies = sorted(stamps["sdss"])
    likeness = np.array([
        [np.corrcoef(stamps["sdss"][a], stamps["des"][b])[0, 1] for b in galaxies] for a in galaxies
    ])  # fmt: skip
    own, others = np.diag(likeness), likeness[~np.eye(len(galaxies), dtype=bool)]
    assert np.median(own) > np.quantile(others, 0.9)
    assert (likeness.argmax(axis=1) == np.arange(len(galaxies))).mean() > 0.8


def test_positions_of_a_pair_agree_and_all_others_are_separated(sources):
    places: dict[str, list[tuple[float, float]]] = {}
    truth = {(r["survey"], r["object_id"]): r["galaxy"] for r in rows_of(sources[0] / "truth.csv")}
    for table in sources[1]:
        for row in rows_of(table.table) if table.folder is not None else []:
            places.setdefault(truth[table.survey, row["object_id"]], []).append((float(row["ra"]), float(row["dec"])))
    for pair in places.values():
        assert separation_arcsec(pair[0], pair[-1]) < 0.1
    one_each = [place[0] for place in places.values()]
    nearest = min(separation_arcsec(a, b) for k, a in enumerate(one_each) for b in one_each[:k])
    assert nearest > 30


def separation_arcsec(a: tuple[float, float], b: tuple[float, float]) -> float:
    east = (a[0] - b[0]) * math.cos(math.radians(a[1]))
    return 3600 * math.hypot(east, a[1] - b[1])


def test_positions_are_separated_even_when_the_sky_is_crowded():
    # those of the calibration set lie where all but the pool do, and nobody votes on them
    galaxies = draw_galaxies(SurveyPlan(training=0, hp=0, fo=0, calibration=6000, pool=0, faults=0), seed=3)
    sky = np.array([(g.ra, g.dec) for g in galaxies])
    order = np.argsort(sky[:, 1])
    sky = sky[order]
    for step in range(1, 60):  # neighbours in declination are all that can be near
        east = (sky[step:, 0] - sky[:-step, 0]) * np.cos(np.radians(sky[step:, 1]))
        assert (3600 * np.hypot(east, sky[step:, 1] - sky[:-step, 1])).min() > 30


def test_fo_is_fainter_and_smaller_than_hp():
    """Votes choose HP, and volunteers are sure of the bright and large ones."""
    galaxies = draw_galaxies(SurveyPlan(training=0, hp=600, fo=600, calibration=0, pool=0, faults=0), seed=5)
    hp, fo = ([g for g in galaxies if g.set_name == name] for name in ("hp", "fo"))
    assert np.median([g.mag_r for g in fo]) > np.median([g.mag_r for g in hp]) + 0.15
    assert np.median([g.radius_arcsec for g in fo]) < np.median([g.radius_arcsec for g in hp]) - 0.15


def test_calibration_and_pool_galaxies_have_the_same_distribution():
    """What is counted on the one is promised of the other: the same classes, the same faint and difficult ones."""
    galaxies = draw_galaxies(SurveyPlan(training=0, hp=0, fo=0, calibration=1500, pool=1500, faults=0), seed=5)
    calibration, pool = ([g for g in galaxies if g.set_name == name] for name in ("calibration", "pool"))
    labels = [[g.label for g in sample].count("spiral") for sample in (calibration, pool)]
    assert labels == [900, 900]
    for measure in ("mag_r", "radius_arcsec", "axis_ratio"):
        a, b = (np.array([getattr(g, measure) for g in sample]) for sample in (calibration, pool))
        assert 0.46 < auc(a, b) < 0.54, measure


def test_votes_and_labels_are_ingested_like_those_of_galaxy_zoo(tmp_path):
    plan = SurveyPlan(training=8, hp=4, fo=4, calibration=2, pool=4, faults=0)
    report = simulate(tmp_path / "ws", plan, seed=4, processes=1)
    assert (report.training, len(report.tables)) == (8, 12)
    with Workspace.open(tmp_path / "ws").reading() as con:
        voted = con.execute(
            "SELECT l.label, g.p_cs_debiased > g.p_el_debiased, o.mag_r FROM labels AS l "
            "JOIN galaxy_zoo AS g USING (survey, object_id) JOIN catalog AS o USING (survey, object_id) "
            "WHERE l.source = 'galaxy_zoo'"
        ).fetchall()
        test_votes = con.execute("SELECT count(*) FROM catalog WHERE test_set IN ('HP', 'FO') AND votes > 0").fetchone()
    assert len(voted) == 8
    assert all((label == "spiral") is spiral and mag_r for label, spiral, mag_r in voted)
    assert test_votes == (16,)
    assert "8 training galaxies have clean votes" in report.sentences()[1]
    assert simulate(tmp_path / "ws", plan, seed=4, processes=1) == report, "a second call changes nothing"


def test_an_impossible_plan_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        SurveyPlan(pool=3, faults=4)
    with pytest.raises(ValueError, match="negative"):
        SurveyPlan(hp=-1)
