"""`crossmatch` gives the greedy one-to-one pairs, as brute force and astropy do, everywhere on the sphere."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.new_workspace import create_workspace
from support.workspaces import SIZE, Done, ask, cli, failed, process

from catbuilder.catalogue.connection import Connection
from catbuilder.catalogue.database import connect
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.resources import query
from catbuilder.core.sky import cell_shift, healpix_cell, search_order, with_neighbours
from catbuilder.inspection.why import why
from catbuilder.sets import pairs
from catbuilder.sets.crossmatch import crossmatch
from catbuilder.sets.pairs import Side, find_candidates, pair_one_to_one

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
ARCSEC = 1 / 3600
LARGE_TABLES = {
    "anywhere": (123.4, -56.7),
    "equator and RA 0": (0.0, 0.0),
    "RA 360": (359.99999, 41.8),
    "north pole": (77.0, 90.0),
    "south pole": (200.0, -90.0),
    "a corner of the HEALPix grid": (45.0, 41.8103149),
    "where three base cells meet": (90.0, -41.8103149),
}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return create_workspace(tmp_path_factory.mktemp("sphere") / "ws", stamp_size=SIZE)


@pytest.fixture
def workspace(empty: Workspace, tmp_path: Path) -> Workspace:
    return Workspace.open(shutil.copytree(empty.path, tmp_path / "ws"))


def insert(
    con: Connection, survey: str, ids: Sequence[int], ra: Sequence[float], dec: Sequence[float], run: int, origin: str
) -> None:
    """Rows of a catalogue; a NaN is no position."""
    cells = healpix_cell(ra, dec)
    known = cells >= 0
    columns = {
        "object_id": pa.array(ids, pa.int64()),
        "ra": pa.array(np.asarray(ra, float), mask=~known),
        "dec": pa.array(np.asarray(dec, float), mask=~known),
        "healpix": pa.array(cells, mask=~known),
    }
    con.register("made", pa.table(columns))
    con.execute(
        "INSERT INTO objects BY NAME SELECT *, ? AS survey, ? AS origin, 1 AS round, ? AS run FROM made",
        [survey, origin, run],
    )
    con.unregister("made")


def bring_in(workspace: Workspace, survey: str, ids: Sequence[int], ra: Sequence[float], dec: Sequence[float]) -> None:
    with workspace.recording(f"bring in {survey}") as recording:
        insert(recording.con, survey, ids, ra, dec, recording.run, origin=survey)


def standing(workspace: Workspace) -> list[tuple]:
    return ask(
        workspace,
        "SELECT survey_a, object_id_a, survey_b, object_id_b FROM standing_matches_at() ORDER BY ALL",
    )


def around(place: tuple[float, float], offsets: Sequence[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Positions at (position angle, deg; separation, arcsec) from a place."""
    angle, separation = (np.array(column, float) for column in zip(*offsets, strict=True))
    moved = SkyCoord(*place, unit="deg").directional_offset_by(angle * u.deg, separation * u.arcsec)
    return moved.ra.deg, moved.dec.deg


@contextmanager
def rolled_back(con: Connection) -> Iterator[Connection]:
    """A transaction of which nothing stays."""
    con.begin()
    try:
        yield con
    finally:
        con.rollback()


def greedy(candidates: list[tuple[int, int, float]]) -> set[tuple[int, int]]:
    """The definition: by increasing separation, ties by id, each object once."""
    taken: set[tuple[int, int]] = set()
    used_a, used_b = set(), set()
    for _, a, b in sorted((separation, a, b) for a, b, separation in candidates):
        if a not in used_a and b not in used_b:
            taken.add((a, b))
            used_a.add(a)
            used_b.add(b)
    return taken


# --- against the definition


offsets = st.lists(st.tuples(st.floats(0, 360), st.floats(0, 4)), min_size=1, max_size=12)
places = st.one_of(
    st.sampled_from(list(LARGE_TABLES.values())),
    st.tuples(st.floats(0, 360), st.floats(-1, 1).map(lambda z: float(np.degrees(np.arcsin(z))))),
)


@pytest.fixture(scope="module")
def open_catalogue(empty, tmp_path_factory):
    """A connection to an empty catalogue for tests that roll back what they insert."""
    file = shutil.copy(empty.catalog_file, tmp_path_factory.mktemp("open"))
    with connect(Path(file), read_only=False) as con:
        yield con


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(place=places, a=offsets, b=offsets, copies=st.integers(0, 3), radius=st.sampled_from([0.3, 1.0, 2.5, 60.0]))
def test_pairs_are_those_of_the_greedy_matching_in_any_cluster_anywhere(open_catalogue, place, a, b, copies, radius):
    b = b + a[:copies]  # the same position in both
    (ra_a, dec_a), (ra_b, dec_b) = around(place, a), around(place, b)
    with rolled_back(open_catalogue) as con:
        insert(con, "sdss", range(len(a)), ra_a, dec_a, 1, "sdss")
        insert(con, "des", range(100, 100 + len(b)), ra_b, dec_b, 1, "des")
        assert find_candidates(con, Side("sdss"), Side("des"), radius) == (len(a), len(b))
        pair_one_to_one(con)
        candidates = con.execute("FROM candidates").fetchall()
        found = con.execute("SELECT id_a, id_b FROM pairs").fetchall()
    sky_a, sky_b = SkyCoord(ra_a, dec_a, unit="deg"), SkyCoord(ra_b, dec_b, unit="deg")
    apart = sky_a[:, np.newaxis].separation(sky_b).arcsec
    near = {(i, 100 + j) for i, j in zip(*np.nonzero(apart <= radius), strict=True)}
    on_the_edge = {(i, 100 + j) for i, j in zip(*np.nonzero(abs(apart - radius) < 1e-8), strict=True)}
    assert {(i, j) for i, j, _ in candidates} ^ near <= on_the_edge
    assert all(abs(apart[i, j - 100] - separation) < 1e-8 for i, j, separation in candidates)
    assert len(found) == len(set(found)) and set(found) == greedy(candidates)


@pytest.mark.parametrize("place", LARGE_TABLES.values(), ids=LARGE_TABLES.keys())
def test_a_dense_cluster_is_matched_one_to_one(open_catalogue, place):
    rng = np.random.default_rng(3)
    ra_a, dec_a = around(place, [*zip(rng.uniform(0, 360, 150), 5 * np.sqrt(rng.uniform(0, 1, 150)), strict=True)])
    ra_b, dec_b = around(place, [*zip(rng.uniform(0, 360, 200), 5 * np.sqrt(rng.uniform(0, 1, 200)), strict=True)])
    with rolled_back(open_catalogue) as con:
        insert(con, "sdss", range(150), ra_a, dec_a, 1, "sdss")
        insert(con, "des", range(200), ra_b, dec_b, 1, "des")
        find_candidates(con, Side("sdss"), Side("des"), 1.0)
        pair_one_to_one(con)
        candidates = con.execute("FROM candidates").fetchall()
        found = con.execute("SELECT id_a, id_b FROM pairs").fetchall()
    apart = SkyCoord(ra_a, dec_a, unit="deg")[:, np.newaxis].separation(SkyCoord(ra_b, dec_b, unit="deg")).arcsec
    expected = greedy([(int(i), int(j), apart[i, j]) for i, j in zip(*np.nonzero(apart <= 1), strict=True)])
    assert len(candidates) > 2 * len(expected) > 100, "the cluster is not dense enough to prove anything"
    assert set(found) == expected


def test_random_skies_are_matched_as_astropy_matches_them(workspace):
    rng = np.random.default_rng(11)
    n = 20_000
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    ra, dec = np.append(ra, [0, 360, 10, 10]), np.append(dec, [0, 1, 90, -90])
    truth = SkyCoord(ra, dec, unit="deg")
    seen = truth.directional_offset_by(rng.uniform(0, 360, len(ra)) * u.deg, rng.uniform(0, 1.5, len(ra)) * u.arcsec)
    bring_in(workspace, "sdss", range(len(ra)), ra, dec)
    bring_in(workspace, "des", range(len(ra))[::2], seen.ra.deg[::2], seen.dec.deg[::2])
    (match,) = crossmatch(workspace).matches
    index, apart, _ = seen[::2].match_to_catalog_sky(truth)
    near = apart.arcsec <= 1
    assert {(a, b) for _, a, _, b in standing(workspace)} == {
        (int(a), 2 * int(b)) for a, b in zip(index[near], np.flatnonzero(near), strict=True)
    }
    assert (match.objects_a, match.objects_b, match.pairs) == (n + 4, n // 2 + 2, near.sum())
    assert match.median_arcsec == pytest.approx(np.median(apart.arcsec[near]))
    assert match.largest_arcsec == pytest.approx(apart.arcsec[near].max())


@settings(max_examples=300, deadline=None)
@given(place=places, angle=st.floats(0, 360), radius=st.floats(1e-3, 60), share=st.floats(0, 1))
def test_all_within_the_radius_lies_in_the_cell_or_a_neighbour(place, angle, radius, share):
    order = search_order(radius)
    ra, dec = around(place, [(angle, share * radius)])
    cells = with_neighbours(healpix_cell(*place).reshape(1) >> cell_shift(order), order)
    assert (healpix_cell(ra, dec) >> cell_shift(order))[0] in cells[0]


# --- one to one


def test_the_nearest_pair_is_taken_first_even_if_another_loses_its_only_partner(workspace):
    # in a row along the equator: des 1 -0.8- sdss 1 -0.3- des 2 -0.6- sdss 2
    bring_in(workspace, "sdss", [1, 2], [10 + 0.8 * ARCSEC, 10 + 1.7 * ARCSEC], [0, 0])
    bring_in(workspace, "des", [1, 2], [10, 10 + 1.1 * ARCSEC], [0, 0])
    (match,) = crossmatch(workspace).matches
    assert standing(workspace) == [("sdss", 1, "des", 2)]
    assert (match.pairs, match.second_candidate) == (1, 1)
    assert match.largest_arcsec == pytest.approx(0.3, abs=1e-6)


def test_a_long_chain_of_ever_nearer_neighbours_is_undone_from_its_near_end(workspace):
    steps = np.linspace(0.9, 0.5, 61)
    dec = np.concatenate([[0], np.cumsum(steps)]) * ARCSEC
    bring_in(workspace, "sdss", range(31), np.full(31, 50.0), dec[::2])
    bring_in(workspace, "des", range(31), np.full(31, 50.0), dec[1::2])
    crossmatch(workspace)
    assert standing(workspace) == [("sdss", n, "des", n) for n in range(31)]


def test_of_equal_separations_the_lower_ids_are_taken(workspace):
    bring_in(workspace, "sdss", [7, 3], [20.0, 20.0], [5.0, 5.0])
    bring_in(workspace, "des", [9, 2], [20.0, 20.0], [5.0, 5.0])
    (match,) = crossmatch(workspace).matches
    assert standing(workspace) == [("sdss", 3, "des", 2), ("sdss", 7, "des", 9)]
    assert (match.median_arcsec, match.second_candidate) == (0, 2)


def test_batches_of_the_smaller_survey_find_the_same_pairs(workspace, monkeypatch):
    rng = np.random.default_rng(5)
    ra, dec = 180 + rng.uniform(0, 60, 300) * ARCSEC, rng.uniform(0, 60, 300) * ARCSEC
    bring_in(workspace, "sdss", range(300), ra, dec)
    bring_in(workspace, "des", range(200), ra[:200] + 0.4 * ARCSEC, dec[:200])
    crossmatch(workspace, 2.0)
    whole, told = standing(workspace), []
    monkeypatch.setattr(pairs, "BATCH", 33)
    (match,) = crossmatch(workspace, 2.0, progress=lambda done, of: told.append((done, of))).matches
    assert len(whole) > 150 and standing(workspace) == whole and not match.recorded
    assert told == [(min(33 * n, 200), 200) for n in range(1, 8)]


def test_the_batch_of_the_smaller_survey_is_the_hash_table_and_the_larger_one_streams_by(empty):
    with connect(empty.catalog_file, read_only=False) as con:
        con.begin()
        insert(con, "sdss", range(1_000), np.linspace(0, 5, 1_000), np.zeros(1_000), 1, "sdss")
        insert(con, "des", range(100_000), np.linspace(0, 5, 100_000), np.zeros(100_000), 1, "des")
        find_candidates(con, Side("sdss"), Side("des"), 1.0)
        with pairs._joins_as_written(con):
            asked = {"shift": 26, "radius_arcsec": 1.0, "small_is_a": True, "survey": "des", "origins": None}
            plan = json.loads(
                con.execute(f"EXPLAIN (FORMAT json) {query('sets/match_candidates')}", asked).fetchall()[0][1]
            )
        con.rollback()
    node = plan[0]
    while len(node["children"]) == 1:
        (node,) = node["children"]
    streamed, hashed = (json.dumps(child) for child in node["children"])
    assert "small_cells" in hashed and "small_cells" not in streamed and "objects" in streamed


# --- which objects are matched, and which pairs recorded


def test_objects_without_a_position_replaced_rows_and_aliases_take_no_part(workspace):
    bring_in(workspace, "sdss", [1, 2, 3, 4], [10, 20, 30, np.nan], [0, 0, 0, np.nan])
    bring_in(workspace, "des", [1, 2, 3, 4], [10, 20, 30, np.nan], [0, 0, 0, np.nan])
    with workspace.recording("changes") as recording:
        con, run = recording.con, recording.run
        # des 2 has moved away since, and sdss 3 turned out to be an image of sdss 1
        con.execute("INSERT INTO revisions VALUES ('objects', 'des', 2, 2, 1, ?)", [run])
        insert(con, "des", [2], [21], [0], run, "des")
        con.execute("UPDATE objects SET origin = 'images' WHERE survey = 'sdss' AND object_id = 3")
        con.execute("INSERT INTO aliases VALUES ('sdss', 3, 1, 0.5, 1, ?)", [run])
    (match,) = crossmatch(workspace).matches
    assert (match.objects_a, match.objects_b) == (2, 3)
    assert standing(workspace) == [("sdss", 1, "des", 1)]


def recorded(workspace: Workspace) -> list[tuple]:
    return ask(
        workspace, "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM crossmatches), count(*) FROM matches"
    )


def test_the_same_pairs_found_again_are_not_recorded_again(workspace):
    bring_in(workspace, "sdss", [1, 2], [10, 20], [0, 0])
    bring_in(workspace, "des", [1, 2], [10, 20], [0, 0])
    assert crossmatch(workspace).matches[0].recorded
    before = recorded(workspace)
    assert before == [(3, 1, 2)]
    assert not crossmatch(workspace).matches[0].recorded
    assert recorded(workspace) == before


def test_another_radius_or_other_pairs_are_recorded_whole_and_stand(workspace):
    bring_in(workspace, "sdss", [1, 2], [10, 20], [0, 0])
    bring_in(workspace, "des", [1, 2], [10, 20 + 1.5 * ARCSEC], [0, 0])
    crossmatch(workspace)
    assert standing(workspace) == [("sdss", 1, "des", 1)]
    crossmatch(workspace, 2.0)
    assert standing(workspace) == [("sdss", 1, "des", 1), ("sdss", 2, "des", 2)]
    crossmatch(workspace)
    assert standing(workspace) == [("sdss", 1, "des", 1)]
    assert ask(workspace, "SELECT radius_arcsec, pairs FROM crossmatches ORDER BY run") == [(1, 1), (2, 2), (1, 1)]


def test_a_catalogue_that_came_later_is_known_to_have_been_matched_even_if_it_adds_no_pair(workspace):
    bring_in(workspace, "sdss", [1], [10], [0])
    bring_in(workspace, "des", [1], [10], [0])
    crossmatch(workspace)
    bring_in(workspace, "des", [2], [50], [0])
    assert crossmatch(workspace).matches[0].recorded
    assert ask(workspace, "SELECT max(run) FROM crossmatches") > ask(workspace, "SELECT max(run) FROM objects")
    assert standing(workspace) == [("sdss", 1, "des", 1)]


def test_a_closed_round_keeps_the_pairs_it_knew(workspace):
    bring_in(workspace, "sdss", [1], [10], [0])
    bring_in(workspace, "des", [1], [10], [0])
    crossmatch(workspace)
    with workspace.recording("a round is planned") as recording:
        recording.con.execute("INSERT INTO rounds (round) VALUES (1)")
    bring_in(workspace, "des", [2], [10], [0])
    crossmatch(workspace, 3.0)
    assert ask(workspace, "SELECT count(*) FROM crossmatches WHERE round = 2") == [(1,)]
    assert ask(workspace, "SELECT count(*), max(run) FROM standing_matches_at(1)") == [(1, 3)]


def add_survey(workspace: Workspace, text: str) -> Workspace:
    """The workspace with one more survey, named first in its settings."""
    file = workspace.path / "catbuilder.toml"
    head, surveys = file.read_text().split("[surveys.sdss]")
    file.write_text(f"{head}[surveys.{text}]\n\n[surveys.sdss]{surveys}")
    return Workspace.open(workspace.path)


def test_every_two_surveys_are_matched_in_the_order_of_the_settings(workspace):
    workspace = add_survey(workspace, "hsc")
    for survey in ("sdss", "des", "hsc"):
        bring_in(workspace, survey, [1], [10], [0])
    pairings = [(match.survey_a, match.survey_b) for match in crossmatch(workspace).matches]
    assert pairings == [("hsc", "sdss"), ("hsc", "des"), ("sdss", "des")]
    (match,) = crossmatch(workspace, 2.0, ["des", "sdss"]).matches
    assert (match.survey_a, match.survey_b) == ("sdss", "des")


def test_two_surveys_keep_the_names_they_were_matched_by_whatever_the_settings_say_later(workspace):
    bring_in(workspace, "sdss", [1], [10], [0])
    bring_in(workspace, "des", [1], [10], [0])
    crossmatch(workspace)
    file = workspace.path / "catbuilder.toml"
    head, sdss, des = file.read_text().partition("[surveys.sdss]")[0], "[surveys.sdss]\n", "[surveys.des]\n"
    file.write_text(head + des + sdss)
    crossmatch(Workspace.open(workspace.path), 2.0)
    assert standing(workspace) == [("sdss", 1, "des", 1)]


# --- the command line


def test_the_command_prints_objects_pairs_and_separations(workspace):
    bring_in(workspace, "sdss", [1, 2, 3], [10, 20, 30], [0, 0, 0])
    bring_in(workspace, "des", [1, 2], [10 + 0.5 * ARCSEC, 20], [0, 0])
    done = cli("-w", workspace.path, "crossmatch", "--format", "json")
    (told,) = json.loads(done.out)
    assert told["largest_arcsec"] == pytest.approx(0.5, abs=1e-6)
    assert told["median_arcsec"] == pytest.approx(0.25, abs=1e-6)
    del told["largest_arcsec"], told["median_arcsec"]
    assert told == {"survey_a": "sdss", "survey_b": "des", "objects_a": 3, "objects_b": 2, "pairs": 2,
                    "second_candidate": 0, "recorded": True}  # fmt: skip
    again = cli("-w", workspace.path, "crossmatch")
    assert "The pairs of sdss and des have not changed; nothing was recorded" in again.out
    assert [detail for _, what, detail in why(workspace, "1", "des").events if what == "match"] == [
        "matched with sdss 1 at 0.50 arcsec"
    ]


def test_no_pair_at_all_is_a_result_too(workspace):
    bring_in(workspace, "sdss", [1], [10], [0])
    bring_in(workspace, "des", [1], [11], [0])
    (told,) = json.loads(cli("-w", workspace.path, "crossmatch", "--format", "json").out)
    assert (told["pairs"], told["median_arcsec"], told["recorded"]) == (0, None, True)
    assert not crossmatch(workspace).matches[0].recorded


def test_surveys_that_cannot_be_matched_are_refused_with_advice(workspace):
    def refused(*arguments: object) -> Done:
        return cli("-w", workspace.path, "crossmatch", *arguments)

    failed(refused(), "objects with positions of two surveys", "there are none", "catbuilder ingest des FILE")
    bring_in(workspace, "sdss", [1], [10], [0])
    bring_in(workspace, "des", [1], [np.nan], [np.nan])
    failed(refused(), "there are only those of sdss", "catbuilder ingest des FILE")
    failed(refused("--surveys", "sdss,des"), "there are only those of sdss")
    failed(refused("--surveys", "sdss"), "only sdss was given")
    failed(refused("--surveys", "sdss,euclid"), "unknown survey 'euclid'", "sdss, des", "catbuilder.toml")
    for radius in (0, -1, 60.5, "nan", "inf"):
        failed(refused("--radius", radius), "above 0 and up to 60 arcsec")


# --- other processes record meanwhile


def test_a_catalogue_that_comes_while_pairs_are_sought_is_matched_too(workspace, monkeypatch):
    bring_in(workspace, "sdss", [1, 2], [10, 20], [0, 0])
    bring_in(workspace, "des", [1], [10], [0])
    recording, late = Workspace.recording, iter(["des"])

    def slow(workspace, what="", **options):
        if what.startswith("crossmatch"):
            for survey in late:  # once
                bring_in(workspace, survey, [2], [20], [0.2 * ARCSEC])
        return recording(workspace, what, **options)

    monkeypatch.setattr(Workspace, "recording", slow)
    (match,) = crossmatch(workspace).matches
    assert (match.objects_b, match.pairs) == (2, 2)
    assert standing(workspace) == [("sdss", 1, "des", 1), ("sdss", 2, "des", 2)]
    assert ask(workspace, "SELECT count(*), min(run) > (SELECT max(run) FROM objects) FROM crossmatches") == [(1, True)]


# --- the real catalogues


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = create_workspace(tmp_path_factory.mktemp("real") / "ws")
    with workspace.recording("sdss") as recording:
        file = DATA / "catalogs" / "sdss_dr7_photoobj.csv.gz"
        sdss = recording.con.execute("SELECT objid, ra, dec FROM read_csv($file)", {"file": str(file)}).fetchnumpy()
        insert(recording.con, "sdss", sdss["objid"], sdss["ra"], sdss["dec"], recording.run, "sdss")
    des = Table.read(DATA / "catalogs" / "des_dr1_main.fits")
    columns = (
        np.asarray(des[name]).astype(kind) for name, kind in (("COADD_OBJECT_ID", int), ("RA", float), ("DEC", float))
    )
    bring_in(workspace, "des", *columns)
    return workspace


needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the optional folder ../shared/data is not here")


@pytest.mark.real
@needs_data
def test_every_real_des_galaxy_finds_its_sdss_partner_and_hp_is_among_them(real):
    done = process("-w", str(real.path), "crossmatch", "--format", "json")
    (told,) = json.loads(done.out)
    assert (told["objects_a"], told["objects_b"], told["pairs"]) == (56_392, 16_982, 16_982)
    hp = ask(
        real,
        "SELECT count(*), count(m.run) FROM read_csv(?) AS h LEFT JOIN standing_matches_at() AS m "
        "ON m.object_id_a = h.sdss_objid AND m.object_id_b = h.des_coadd_object_id",
        str(DATA / "catalogs" / "hp_test_set.csv"),
    )
    assert hp == [(1_066, 1_066)]


@pytest.mark.real
@needs_data
def test_real_pairs_are_those_of_astropy(real):
    crossmatch(real)
    a, b = (
        ask(real, "SELECT object_id, ra, dec FROM objects WHERE survey = ? ORDER BY object_id", survey)
        for survey in ("sdss", "des")
    )
    sky_a, sky_b = (SkyCoord(np.array([place for _, *place in side]), unit="deg") for side in (a, b))
    index, apart, _ = sky_b.match_to_catalog_sky(sky_a)
    assert len(set(index)) == len(index)  # nobody is asked for twice, so the greedy matching is the nearest of each
    found = ask(real, "SELECT object_id_b, object_id_a, separation_arcsec FROM standing_matches_at() ORDER BY 1")
    assert [(mine, theirs) for mine, theirs, _ in found] == [(b[j][0], a[i][0]) for j, i in enumerate(index)]
    assert np.abs(np.array([row[2] for row in found]) - apart.arcsec).max() < 1e-8
