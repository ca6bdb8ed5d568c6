"""`assemble` builds the sets of the paper from three catalogues."""

import csv
import json
from pathlib import Path

import pytest
from support.new_workspace import create_workspace
from support.workspaces import SIZE, ask, cli, failed, write_csv, write_images

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import ConfigError
from catbuilder.sets.population import load_population

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
real = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="the optional folder ../shared/data is not here"),
]

SDSS, DES = 587_722_983_361_000_000, 61_000_000
GALAXIES = 240  # the first 200 of them are seen by DES too
SHARED = 200


def votes(i: int) -> tuple[float, float]:
    """Debiased votes for elliptical and for spiral: sure ones, unsure ones and every twentieth a tie."""
    if i % 20 == 19:
        return 0.4, 0.4
    sure = 0.99 if i % 4 < 2 else 0.7
    return (sure, 1 - sure) if i % 2 else (1 - sure, sure)


def place(i: int) -> tuple[float, float]:
    return 10 + 0.3 * (i % 20), -5 + 0.3 * (i // 20)


def catalogues(folder: Path, galaxies: int = GALAXIES, shared: int = SHARED) -> dict[str, Path]:
    """Votes, SDSS and DES of one small sky, as the archives name their columns."""
    folder.mkdir(parents=True, exist_ok=True)
    gz1, sdss, des = [], [], []
    for i in range(galaxies):
        (ra, dec), (el, cs) = place(i), votes(i)
        raw_el, raw_cs = (cs, el) if i % 10 == 3 else (el, cs)  # the raw majority says otherwise
        gz1.append([SDSS + i, ra, dec, 30, raw_el, raw_cs, el, cs])
        sdss.append([SDSS + i, ra, dec, 17.5, 17.0, 16.6, 6.0])
        if i < shared:
            quality = {0: (0, 0), 1: (4, 0), 2: (0, 1)}.get(i % 7, (1, 0))
            spread = {3: (0.0, 0.0005), 4: (0.004, 0.0005), 5: (-99.0, -99.0)}.get(i % 7, (0.02, 0.0005))
            des.append([DES + i, ra + 0.1 / 3600, dec, 17.0, 3.5, 8.0, quality[0], 0, 0, quality[1], 0, 0, *spread])
    des.append([DES + 9000, 40.0, -30.0, 17.2, 3.5, 8.0, 0, 0, 0, 0, 0, 0, 0.02, 0.0005])
    des.append([DES + 9001, 40.1, -30.0, 21.0, 3.5, 8.0, 0, 0, 0, 0, 0, 0, 0.02, 0.0005])
    des.append([DES + 9002, 40.2, -30.0, 17.2, 3.5, 2.0, 0, 0, 0, 0, 0, 0, 0.02, 0.0005])
    flags = [f"{name}_{band}" for name in ("FLAGS", "IMAFLAGS_ISO") for band in "GRI"]
    return {
        "gz1": write_csv(
            folder / "gz1.csv", ["OBJID", "RA", "DEC", "NVOTE", "P_EL", "P_CS", "P_EL_DEBIASED", "P_CS_DEBIASED"], *gz1
        ),
        "sdss": write_csv(folder / "sdss.csv", ["objid", "ra", "dec", "g", "r", "i", "petroRad_r"], *sdss),
        "des": write_csv(
            folder / "des.csv",
            ["COADD_OBJECT_ID", "RA", "DEC", "MAG_AUTO_R", "KRON_RADIUS", "A_IMAGE", *flags, "WAVG_SPREAD_MODEL_I",
             "WAVG_SPREADERR_MODEL_I"],
            *des,
        ),
    }  # fmt: skip


@pytest.fixture(scope="module")
def matched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the three catalogues, matched; copy it, do not change it."""
    folder = tmp_path_factory.mktemp("assemble")
    workspace = create_workspace(folder / "ws", stamp_size=SIZE)
    for kind, file in catalogues(folder).items():
        done = cli("-w", workspace.path, "ingest", kind, file)
        assert done.code == 0, done
    assert cli("-w", workspace.path, "crossmatch").code == 0
    return workspace.path


@pytest.fixture
def workspace(matched: Path, copy_of) -> Workspace:
    return Workspace.open(copy_of(matched))


@pytest.fixture(scope="module")
def sets_made(matched: Path, copy_of) -> Path:
    """The same after `assemble`; copy it, do not change it."""
    path = copy_of(matched)
    assert cli("-w", path, "assemble").code == 0
    return path


@pytest.fixture
def assembled(sets_made: Path, copy_of) -> Workspace:
    return Workspace.open(copy_of(sets_made))


def members(workspace: Workspace, name: str, survey: str) -> set[int]:
    rows = ask(workspace, "SELECT object_id FROM test_sets WHERE test_set = ? AND survey = ?", name, survey)
    return {object_id for (object_id,) in rows}


def splits(workspace: Workspace, survey: str) -> dict[int, str]:
    return dict(ask(workspace, "SELECT object_id, split FROM catalog WHERE survey = ? AND split IS NOT NULL", survey))


def shared_where(wanted) -> set[int]:
    return {i for i in range(SHARED) if wanted(*votes(i))}


def test_the_sets_follow_the_papers_rules(workspace):
    done = cli("-w", workspace.path, "assemble")
    assert done.code == 0 and "10 of them tie" in done.out, done
    sure = shared_where(lambda el, cs: el > 0.926 or cs > 0.985)
    assert members(workspace, "HP", "sdss") == {SDSS + i for i in sure}
    assert members(workspace, "HP", "des") == {DES + i for i in sure}

    calibration = {i - DES for i, split in splits(workspace, "des").items() if split == "calibration"}
    ties = shared_where(lambda el, cs: el == cs)
    assert calibration and not calibration & sure
    assert {i - SDSS for i, split in splits(workspace, "sdss").items() if split == "calibration"} == calibration
    # no cut on the votes: unsure ones and ties are drawn alike
    assert calibration & ties or calibration - ties
    everything = set(range(SHARED)) - calibration - ties
    assert members(workspace, "FO", "des") == {DES + i for i in everything}
    assert members(workspace, "FO", "sdss") == {SDSS + i for i in everything}

    trained = {i - SDSS for i, split in splits(workspace, "sdss").items() if split in ("train", "validation")}
    assert trained == {i for i in range(SHARED, GALAXIES) if max(votes(i)) > 0.985}
    assert splits(workspace, "des")[DES + 9000] == "pool"


def test_truth_is_the_larger_debiased_vote_and_the_raw_majority_stands_beside_it(assembled):
    for object_id, truth, votes_, raw in ask(
        assembled,
        "SELECT object_id, truth, votes, raw_majority FROM test_sets WHERE survey = 'des' AND test_set = 'FO'",
    ):
        i = object_id - DES
        el, cs = votes(i)
        assert truth == ("elliptical" if el > cs else "spiral")
        assert votes_ == pytest.approx(max(el, cs))
        assert (raw == truth) is (i % 10 != 3)


def test_calibration_has_the_volunteers_labels_and_ties_have_none(assembled):
    rows = ask(assembled, "SELECT object_id, label, source FROM catalog WHERE survey = 'des' AND split = 'calibration'")
    for object_id, label, source in rows:
        el, cs = votes(object_id - DES)
        expected = (None, None) if el == cs else ("elliptical" if el > cs else "spiral", "galaxy_zoo")
        assert (label, source) == expected


def test_a_second_call_changes_nothing(assembled):
    state = "SELECT * EXCLUDE (healpix) FROM catalog ORDER BY survey, object_id".replace(" EXCLUDE (healpix)", "")
    before = ask(assembled, state)
    events = ask(assembled, "SELECT count(*) FROM labels")
    done = cli("-w", assembled.path, "assemble")
    assert "HP and FO: written by an earlier call and frozen" in done.out
    assert ask(assembled, state) == before and ask(assembled, "SELECT count(*) FROM labels") == events


def test_galaxies_that_come_after_fo_was_written_join_calibration_by_their_hash_and_nothing_else(assembled, tmp_path):
    before = {name: members(assembled, name, "des") for name in ("HP", "FO")}
    drawn = {i for i, split in splits(assembled, "des").items() if split == "calibration"}
    more = catalogues(tmp_path, shared=GALAXIES)
    assert cli("-w", assembled.path, "ingest", "des", more["des"]).code == 0
    failed(cli("-w", assembled.path, "assemble"), "after the cross-match", "catbuilder crossmatch")
    assert cli("-w", assembled.path, "crossmatch").code == 0
    done = cli("-w", assembled.path, "assemble")
    assert "came after FO was written" in done.out, done
    assert {name: members(assembled, name, "des") for name in ("HP", "FO")} == before
    assert drawn <= {i for i, split in splits(assembled, "des").items() if split == "calibration"}


def test_hp_from_a_list_is_that_list(workspace, tmp_path):
    pairs = [[SDSS + i, DES + i] for i in (0, 1, 2, 3)] + [[SDSS + 5, DES + 6]]
    hp = write_csv(tmp_path / "hp.csv", ["SDSS_objID", "des_COADD_OBJECT_ID", "note"], *([*pair, ""] for pair in pairs))
    done = cli("-w", workspace.path, "assemble", "--hp", hp)
    assert done.code == 0, done
    assert members(workspace, "HP", "des") == {DES + i for i in (0, 1, 2, 3, 6)}
    assert (
        "1 pair of the HP list is not a pair of the cross-match" in done.out and "Columns not used: note." in done.out
    )


def test_a_list_with_a_bad_row_is_refused_whole_but_a_pair_may_be_given_twice(workspace, tmp_path):
    names, pair = ["sdss_objid", "des_coadd_object_id"], [SDSS, DES]
    for row, reason in (
        (["5.8e17", DES + 7], "row 3 (object_id 5.8e17): object_id 5.8e17 is not a whole positive number"),
        ([SDSS, DES + 8], f"row 3 (object_id {SDSS}): the id {SDSS} is already in row 2"),
        ([SDSS + 1], "it has 1 cell where the header has 2"),
    ):
        hp = write_csv(tmp_path / "hp.csv", names, pair, row, [SDSS + 2, DES + 2])
        failed(cli("-w", workspace.path, "assemble", "--hp", hp), "hp.csv is refused and nothing is recorded", reason)
        assert members(workspace, "HP", "des") == set()
    hp = write_csv(tmp_path / "hp.csv", names, pair, pair)
    failed(cli("-w", workspace.path, "assemble", "--hp", hp, "--strict"), "is already in row 2")
    assert cli("-w", workspace.path, "assemble", "--hp", hp).code == 0 and members(workspace, "HP", "des") == {DES}


def test_fo_from_a_list_leaves_calibration_to_the_rest(workspace, tmp_path):
    fo = write_csv(
        tmp_path / "fo.csv", ["sdss_objid", "des_coadd_object_id"], *[[SDSS + i, DES + i] for i in range(50)]
    )
    assert cli("-w", workspace.path, "assemble", "--fo", fo).code == 0
    assert members(workspace, "FO", "des") == {DES + i for i in range(50)}
    drawn = {i - DES for i, split in splits(workspace, "des").items() if split == "calibration"}
    assert drawn and min(drawn) >= 50


def test_a_list_without_the_surveys_columns_is_refused(workspace, tmp_path):
    hp = write_csv(tmp_path / "hp.csv", ["a", "b"], [1, 2])
    failed(cli("-w", workspace.path, "assemble", "--hp", hp), "a, b", "begins with 'sdss'", "begins with 'des'")


def test_assemble_says_what_is_missing(tmp_path):
    workspace = create_workspace(tmp_path / "ws", stamp_size=SIZE)
    failed(cli("-w", workspace.path, "assemble"), "no votes on sdss galaxies", "catbuilder ingest gz1 FILE")
    files = catalogues(tmp_path)
    for kind in ("gz1", "sdss", "des"):
        assert cli("-w", workspace.path, "ingest", kind, files[kind]).code == 0
    failed(cli("-w", workspace.path, "assemble"), "are not matched yet", "catbuilder crossmatch")


def test_other_classes_than_galaxy_zoos_are_refused(tmp_path):
    workspace = create_workspace(tmp_path / "ws", classes=("disc", "bulge"))
    failed(cli("-w", workspace.path, "assemble"), "the classes elliptical and spiral", "disc, bulge")


# --- the target population


def test_each_object_has_a_domain_and_a_reason(assembled):
    domains = dict(ask(assembled, "SELECT object_id - ?, domain FROM standing_domains_at()", DES))
    expected = {0: "in", 1: "artefact", 2: "artefact", 3: "star", 4: "in", 5: "unknown", 6: "in"}
    assert {i: domains[i] for i in range(7)} == expected
    assert (domains[9000], domains[9001], domains[9002]) == ("in", "extrapolated", "unresolved")
    reasons = dict(ask(assembled, "SELECT object_id - ?, reason FROM standing_domains_at()", DES))
    assert "FLAGS" in reasons[1] and "IMAFLAGS_ISO" in reasons[2] and "SPREAD_MODEL_I" in reasons[5]
    assert reasons[0] is None


def test_the_same_population_is_applied_once_and_another_one_anew(assembled, tmp_path):
    assert cli("-w", assembled.path, "assemble").code == 0
    assert ask(assembled, "SELECT count(*) FROM populations") == [(1,)]
    (tmp_path / "all.sql").write_text(
        "SELECT object_id, 'in' AS domain, NULL AS reason FROM des_sources WHERE survey = $survey;"
    )
    recipe = tmp_path / "mine.toml"
    recipe.write_text(_with_population((tmp_path / "all.sql").as_posix()))
    assert cli("-w", assembled.path, "assemble", "--recipe", recipe).code == 0
    assert ask(assembled, "SELECT DISTINCT domain FROM standing_domains_at()") == [("in",)]
    assert ask(assembled, "SELECT population FROM populations ORDER BY run") == [("des_dr1",), ("all",)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELECT 1 AS a; SELECT 2 AS b", "must be one SELECT"),
        ("DROP TABLE labels", "must be one SELECT"),
        ("SELEC 1", "not valid SQL"),
    ],
)
def test_a_population_that_is_not_one_select_is_refused(tmp_path, text, words):
    (tmp_path / "mine.sql").write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_population(tmp_path / "mine.sql")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "SELECT object_id, 'maybe' AS domain, NULL AS reason FROM des_sources WHERE survey = $survey",
            "domain 'maybe'",
        ),
        ("SELECT object_id, 'in' AS domain, NULL AS reason FROM des_sources, range(2) WHERE survey = $survey", "twice"),
        ("SELECT no_such_column FROM des_sources WHERE survey = $survey", "no_such_column"),
    ],
)
def test_a_population_that_does_not_fit_changes_nothing(workspace, tmp_path, text, words):
    (tmp_path / "mine.sql").write_text(text)
    (tmp_path / "mine.toml").write_text(_with_population((tmp_path / "mine.sql").as_posix()))
    failed(cli("-w", workspace.path, "assemble", "--recipe", tmp_path / "mine.toml"), words)
    assert ask(workspace, "SELECT count(*) FROM test_sets") == [(0,)]


def test_an_unknown_population_names_those_that_are_shipped():
    with pytest.raises(ConfigError, match="des_dr1, des_dr2"):
        load_population("des_dr9")


def _with_population(name: str) -> str:
    text = (Path(__file__).parents[2] / "rounds" / "paper.toml").read_text()
    return text.replace('population = "des_dr1"', f'population = "{name}"')


# --- images


def test_an_image_by_position_takes_the_id_and_the_votes_of_its_galaxy(workspace, tmp_path):
    ra, dec = place(0)
    images = write_images(tmp_path / "images", ["a.png", "b.png"])
    table = write_csv(
        tmp_path / "t.csv",
        ["object_id", "file", "ra", "dec"],
        ["a", "a.png", ra, dec + 0.5 / 3600],
        ["b", "b.png", 200, 50],
    )
    words = ("ingest", "images", images, "--table", table, "--survey", "sdss", "--split", "none")
    assert cli("-w", workspace.path, *words).code == 0
    done = cli("-w", workspace.path, "assemble")
    assert "1 image given by position shows a catalogued galaxy" in done.out, done
    (found,) = ask(workspace, "SELECT test_set, quality, votes FROM catalog WHERE object_id = ?", SDSS)
    assert found == ("FO,HP", "ok", pytest.approx(0.99))
    assert ask(workspace, "SELECT split FROM catalog WHERE name = 'b'") == [("none",)]
    assert ask(workspace, "SELECT count(*) FROM catalog WHERE name = 'a'") == [(0,)]


def test_a_test_set_that_names_an_image_guards_the_galaxy_it_shows(workspace, tmp_path):
    ra, dec = place(GALAXIES - 1)
    images = write_images(tmp_path / "images", ["a.png"])
    table = write_csv(tmp_path / "t.csv", ["object_id", "file", "ra", "dec"], ["a", "a.png", ra, dec])
    assert cli("-w", workspace.path, "ingest", "images", images, "--table", table, "--survey", "sdss").code == 0
    assert cli("-w", workspace.path, "crossmatch").code == 0
    truth = write_csv(tmp_path / "late.csv", ["object_id", "label"], ["a", "spiral"], [SDSS + GALAXIES - 1, "spiral"])
    assert cli("-w", workspace.path, "testset", "LATE", "--survey", "sdss", "--table", truth).code == 0
    assert members(workspace, "LATE", "sdss") == {SDSS + GALAXIES - 1}


def test_calibration_stays_calibration_whatever_a_table_of_images_says(assembled, tmp_path):
    drawn = min(i for i, split in splits(assembled, "des").items() if split == "calibration")
    images = write_images(tmp_path / "images", ["a.png"])
    table = write_csv(tmp_path / "t.csv", ["object_id", "file"], [drawn, "a.png"])
    for _ in range(2):
        words = ("ingest", "images", images, "--table", table, "--survey", "des", "--split", "pool")
        assert cli("-w", assembled.path, *words).code == 0
    assert splits(assembled, "des")[drawn] == "calibration"


def test_an_image_under_a_catalogued_id_but_far_from_its_position_is_refused(workspace, tmp_path):
    ra, dec = place(3)
    images = write_images(tmp_path / "images", ["a.png", "b.png"])
    table = write_csv(
        tmp_path / "t.csv", ["object_id", "file", "ra", "dec"],
        [SDSS + 3, "a.png", ra, dec + 2 / 3600], [SDSS + 4, "b.png", ra, dec],
    )  # fmt: skip
    done = cli("-w", workspace.path, "ingest", "images", images, "--table", table, "--survey", "sdss")
    assert "1 object added" in done.out and "is the id right?" in done.err, done


# --- the real catalogues


@pytest.fixture(scope="module")
def real_sky(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = create_workspace(tmp_path_factory.mktemp("real") / "ws", stamp_size=SIZE)
    folder = DATA / "catalogs"
    for kind, name in (("des", "des_dr1_main.fits"), ("gz1", "gz1_table2.csv"), ("sdss", "sdss_dr7_photoobj.csv.gz")):
        assert cli("-w", workspace.path, "ingest", kind, folder / name).code == 0
    assert cli("-w", workspace.path, "crossmatch", "--radius", "1").code == 0
    return workspace


@pytest.mark.parametrize("_", [pytest.param(None, marks=real)])
def test_the_papers_hp_list_gives_the_papers_counts(real_sky, _):
    done = cli("-w", real_sky.path, "assemble", "--hp", DATA / "catalogs" / "hp_test_set.csv", "--format", "json")
    counts = {(r["part"], r["survey"], r["class"]): (r["galaxies"], r["paper"]) for r in json.loads(done.out)}
    for survey in ("sdss", "des"):
        assert counts["HP", survey, "spiral"] == (516, 516)
        assert counts["HP", survey, "elliptical"] == (550, 550)
    assert "16,982 galaxies with votes that both surveys observed. 21 of them tie" in done.err
    assert "1,066 galaxies of HP are also in the overlap" in done.err
    with open(DATA / "catalogs" / "hp_test_set.csv", newline="") as file:
        pairs = {(int(row["sdss_objid"]), int(row["des_coadd_object_id"])) for row in csv.DictReader(file)}
    matches = set(ask(real_sky, "SELECT object_id_a, object_id_b FROM standing_matches_at()"))
    assert pairs <= matches


# --- later calls


def test_votes_that_no_longer_suffice_take_label_and_training_back(assembled, tmp_path):
    trained = min(i for i, split in splits(assembled, "sdss").items() if split == "train") - SDSS
    (ra, dec) = place(trained)
    header = ["OBJID", "RA", "DEC", "NVOTE", "P_EL", "P_CS", "P_EL_DEBIASED", "P_CS_DEBIASED"]
    news = write_csv(tmp_path / "new.csv", header, [SDSS + trained, ra, dec, 60, 0.5, 0.5, 0.5, 0.5])
    assert cli("-w", assembled.path, "ingest", "gz1", news, "--update").code == 0
    done = cli("-w", assembled.path, "crossmatch")
    done = cli("-w", assembled.path, "assemble")
    assert "1 label of an earlier call is retracted" in done.out, done
    state = "SELECT label, split FROM catalog WHERE survey = 'sdss' AND object_id = ?"
    assert ask(assembled, state, SDSS + trained) == [(None, "none")]
    again = cli("-w", assembled.path, "assemble")
    assert "retracted" not in again.out and ask(assembled, state, SDSS + trained) == [(None, "none")]


def test_labels_of_an_image_table_and_of_assemble_do_not_replace_each_other_in_turn(workspace, tmp_path):
    trained = next(i for i in range(SHARED, GALAXIES) if max(votes(i)) > 0.985)
    images = write_images(tmp_path / "images", ["a.png"])
    table = write_csv(tmp_path / "t.csv", ["object_id", "file", "label"], [SDSS + trained, "a.png", "spiral"])
    words = ("ingest", "images", images, "--table", table, "--survey", "sdss", "--source", "galaxy_zoo")
    for _ in range(2):
        assert cli("-w", workspace.path, *words).code == 0
        assert cli("-w", workspace.path, "assemble").code == 0
    assert ask(workspace, "SELECT count(*) FROM labels WHERE object_id = ?", SDSS + trained) == [(2,)]


def test_an_object_that_comes_after_the_population_is_unknown_until_it_is_looked_at(assembled, tmp_path):
    header = ["COADD_OBJECT_ID", "RA", "DEC", "MAG_AUTO_R"]
    late = write_csv(tmp_path / "late.csv", header, [DES + 9100, 41.0, -31.0, 23.5])
    assert cli("-w", assembled.path, "ingest", "des", late).code == 0
    images = write_images(tmp_path / "images", ["a.png"])
    table = write_csv(tmp_path / "t.csv", ["object_id", "file"], [DES + 9100, "a.png"])
    assert cli("-w", assembled.path, "ingest", "images", images, "--table", table, "--survey", "des").code == 0
    assert ask(assembled, "SELECT domain FROM catalog WHERE object_id = ?", DES + 9100) == [("unknown",)]


def test_an_object_that_a_population_does_not_return_is_unknown(workspace, tmp_path):
    (tmp_path / "some.sql").write_text(
        "SELECT object_id, 'in' AS domain, NULL AS reason FROM des_sources WHERE survey = $survey AND mag_r < 18 --x"
    )
    (tmp_path / "mine.toml").write_text(_with_population((tmp_path / "some.sql").as_posix()))
    assert cli("-w", workspace.path, "assemble", "--recipe", tmp_path / "mine.toml").code == 0
    text = "SELECT domain, reason FROM standing_domains_at() WHERE object_id = ?"
    assert ask(workspace, text, DES + 9001) == [("unknown", "not named by the population")]


def test_a_population_of_objects_that_are_not_there_is_refused(workspace, tmp_path):
    (tmp_path / "mine.sql").write_text("SELECT 5 AS object_id, 'in' AS domain, NULL AS reason")
    (tmp_path / "mine.toml").write_text(_with_population((tmp_path / "mine.sql").as_posix()))
    failed(
        cli("-w", workspace.path, "assemble", "--recipe", tmp_path / "mine.toml"), "returns 5, which the catalogue of"
    )


def test_what_calibrates_already_is_not_taken_for_a_test(workspace, tmp_path):
    sure = sorted(shared_where(lambda el, cs: el > 0.926 or cs > 0.985))[:3]
    images = write_images(tmp_path / "images", [f"{i}.png" for i in sure])
    table = write_csv(tmp_path / "t.csv", ["object_id", "file"], *[[DES + i, f"{i}.png"] for i in sure])
    words = ("ingest", "images", images, "--table", table, "--survey", "des", "--split", "calibration")
    assert cli("-w", workspace.path, *words).code == 0
    assert cli("-w", workspace.path, "assemble").code == 0
    drawn = {i for i, split in splits(workspace, "des").items() if split == "calibration"}
    assert {DES + i for i in sure} <= drawn
    assert not drawn & (members(workspace, "HP", "des") | members(workspace, "FO", "des"))


def test_a_second_target_gets_its_own_version_of_the_test_sets(assembled, tmp_path):
    first = members(assembled, "FO", "sdss")
    with open(assembled.path / "catbuilder.toml", "a") as file:
        file.write('\n[surveys.des2]\nrelease = "DR2"\nid_column = "COADD_OBJECT_ID"\n')
    header = ["COADD_OBJECT_ID", "RA", "DEC", "EXTENDED_CLASS_COADD"]
    rows = [[9 * DES + i, place(i)[0], place(i)[1], 3] for i in range(SHARED)]
    words = ("ingest", "des", write_csv(tmp_path / "des2.csv", header, *rows), "--survey", "des2")
    assert cli("-w", assembled.path, *words).code == 0
    assert cli("-w", assembled.path, "crossmatch").code == 0
    recipe = tmp_path / "dr2.toml"
    recipe.write_text(_with_population("des_dr2").replace('target = "des"', 'target = "des2"'))
    done = cli("-w", assembled.path, "assemble", "--recipe", recipe)
    assert done.code == 0 and members(assembled, "FO", "sdss") == first
    assert {i - 9 * DES for i in members(assembled, "FO", "des2")} == {i - SDSS for i in first}


def _give_splits(workspace: Workspace, survey: str, split: str, stated: bool) -> None:
    with workspace.recording("splits") as recording:
        recording.con.execute(
            "INSERT INTO splits BY NAME SELECT survey, object_id, ? AS split, ? AS stated, 1 AS round, ? AS run "
            "FROM standing_objects_at() WHERE survey = ?",
            [split, stated, recording.run, survey],
        )


def test_an_object_with_the_stated_split_none_stays_out_of_all_but_calibration(workspace):
    for survey in ("sdss", "des"):
        _give_splits(workspace, survey, "none", stated=True)
    assert cli("-w", workspace.path, "assemble").code == 0
    assert set(splits(workspace, "sdss").values()) == set(splits(workspace, "des").values()) == {"none", "calibration"}


def test_a_default_split_of_none_is_replaced(workspace, copy_of):
    apart = Workspace.open(copy_of(workspace.path))
    for survey in ("sdss", "des"):
        _give_splits(apart, survey, "none", stated=False)
    for one in (workspace, apart):
        assert cli("-w", one.path, "assemble").code == 0
    for survey in ("sdss", "des"):
        kept = {n: split for n, split in splits(apart, survey).items() if split != "none"}
        assert kept == splits(workspace, survey)


def test_an_image_of_nothing_catalogued_does_not_call_for_the_population_again(assembled, tmp_path):
    images = write_images(tmp_path / "images", ["a.png"])
    table = write_csv(tmp_path / "t.csv", ["object_id", "file", "ra", "dec"], ["somewhere", "a.png", 80.0, -60.0])
    assert cli("-w", assembled.path, "ingest", "images", images, "--table", table, "--survey", "des").code == 0
    assert cli("-w", assembled.path, "assemble").code == 0
    assert ask(assembled, "SELECT count(*) FROM populations") == [(1,)]
