"""Comparison with another catalogue: known layouts, and agreement with its intervals."""

import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from PIL import Image
from sklearn.metrics import cohen_kappa_score
from support.new_workspace import create_workspace
from support.workspaces import add_objects, cli, close_round, failed, write_csv

from catbuilder.active_learning.agreement import measure_agreement
from catbuilder.core.errors import InputError
from catbuilder.core.sky import healpix_cell
from catbuilder.core.stamps import write_shard
from catbuilder.ingest.tables.open_table import open_table
from catbuilder.inspection.compare import compare
from catbuilder.inspection.other_catalogue import CatalogueColumns, known_layout

N = 80
IDS = [310_000_000 + i for i in range(N)]
RA, DEC = 10 + np.arange(N) / 10, np.full(N, -30.0)
SPIRAL = np.arange(N) % 2 == 1  # what our network says
WRONG = (1, 5, 60)  # where the other catalogue says otherwise


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """One closed round over 80 DES objects, fainter and smaller one after the other, all with pixels."""
    workspace = create_workspace(tmp_path_factory.mktemp("compare") / "ws", stamp_size=32)
    pixels = np.random.default_rng(0).integers(0, 255, (N, 32, 32, 3), np.uint8)
    shard = write_shard(workspace.path, "des", pixels)
    with workspace.recording("objects") as recording:
        add_objects(
            recording, "des", IDS, ra=list(map(float, RA)), dec=list(map(float, DEC)), shard=shard,
            healpix=[int(cell) for cell in healpix_cell(RA, DEC)], mag_r=[16 + i / 20 for i in range(N)],
            radius_arcsec=[8 - i / 20 for i in range(N)],
        )  # fmt: skip
        add_objects(recording, "sdss", [1])
    close_round(workspace, {("des", n): (0.1, 0.9) if s else (0.8, 0.2) for n, s in zip(IDS, SPIRAL, strict=True)})
    return workspace


def says(i):
    """What the other catalogue says: spiral or not."""
    return bool(SPIRAL[i]) != (i in WRONG)


def confusion(found):
    return {
        (row["ours"], row["theirs"]): row["objects"] for row in found.confusion.to_pylist() if row["variable"] is None
    }


EXPECTED = {("elliptical", "elliptical"): 39, ("elliptical", "spiral"): 1, ("spiral", "elliptical"): 2,
            ("spiral", "spiral"): 38}  # fmt: skip


@pytest.fixture(scope="module")
def vega_ferrero(tmp_path_factory):
    """Their columns; flags below 4 commit to nothing, and one id is not ours."""
    flags = [5 if says(i) else 4 for i in range(N)] + [2, 5]
    table = Table(
        {"COADD_OBJECT_ID": np.array([*IDS, IDS[0] + 1000, IDS[0] + 2000], np.int64), "RA": [*RA, 1.0, 2.0],
         "DEC": [*DEC, 0.0, 0.0], "MP_LTG": np.zeros(N + 2), "FLAG_LTG": np.array(flags, np.int16)}
    )  # fmt: skip
    path = tmp_path_factory.mktemp("theirs") / "vf21.fits"
    table.write(path)
    return path


def test_flags_of_robust_types_are_compared_by_id(ours, vega_ferrero):
    found = compare(ours, vega_ferrero)
    assert (found.title, found.survey, found.by) == ("Vega-Ferrero et al. 2021", "des", "id")
    assert (found.theirs, found.committed, found.paired, found.compared) == (82, 81, 80, 80)
    assert confusion(found) == EXPECTED
    assert {row["object_id"] for row in found.disagreements.to_pylist()} == {IDS[i] for i in WRONG}
    assert found.disagreements["confidence"].to_pylist() == pytest.approx([0.9, 0.9, 0.8])


def test_bins_of_magnitude_and_size_hold_every_object_once(ours, vega_ferrero):
    found = compare(ours, vega_ferrero)
    whole, *bins = found.agreement.to_pylist()
    for variable in ("mag_r", "radius_arcsec"):
        of = [row for row in bins if row["variable"] == variable]
        assert [row["n"] for row in of] == [20, 20, 20, 20]
        assert all(low["bin_high"] == high["bin_low"] for low, high in pairwise(of))
    faint = [row["agreement"] for row in bins if row["variable"] == "mag_r"]
    assert faint == [0.9, 1.0, 1.0, 0.95]
    assert whole["agreement"] == pytest.approx(77 / 80) and whole["low"] < 77 / 80 < whole["high"]


def test_galaxy_zoo_desi_is_compared_by_position_and_no_majority_commits_to_nothing(ours, tmp_path):
    smooth = np.array([0.2 if says(i) else 0.7 for i in range(N)])
    smooth[0] = 0.45  # and 0.40 featured, 0.15 artefact
    featured = np.where(smooth == 0.45, 0.40, 0.95 - smooth)
    ra = RA + 0.5 / 3600
    ra[2] += 5 / 3600  # too far to be the same galaxy
    path = tmp_path / "gz_desi_deep_learning_catalog_friendly.parquet"
    columns = {
        "dr8_id": [f"1234_{i}" for i in range(N)], "ra": ra, "dec": DEC,
        "smooth-or-featured_smooth_fraction": smooth.astype(np.float32),
        "smooth-or-featured_featured-or-disk_fraction": featured.astype(np.float32),
    }  # fmt: skip
    pq.write_table(pa.table(columns), path)
    found = compare(ours, path, survey="des")
    assert (found.title, found.by, found.paired, found.compared) == ("Galaxy Zoo DESI", "position", 79, 78)
    assert confusion(found) == EXPECTED | {("elliptical", "elliptical"): 37}


def test_any_table_can_be_described_on_the_command_line(ours, tmp_path):
    types = ["Sb" if says(i) else "E0" for i in range(N)]
    path = write_csv(tmp_path / "theirs.csv", ["objid", "type"], *zip(IDS, types, strict=True), ["x1", "E0"])
    picture = tmp_path / "differ.png"
    arguments = ["--id", "objid", "--label", "type", "--class", "elliptical=E0", "--class", "spiral=Sb"]
    done = cli("-w", ours.path, "compare", path, "--survey", "des", *arguments, "--mosaic", picture)
    assert done.code == 0, done.err
    assert "agree on 96.25 %" in done.out and "That is agreement, not accuracy" in done.out
    assert "accuracy" not in done.out.replace("not accuracy", "")
    assert "3 disagreements shown in" in done.out and Image.open(picture).height > 100
    done = cli("-w", ours.path, "compare", path, "--survey", "des", *arguments, "--part", "disagreements", "--format",
               "json", "--where", "mag_r < 18")  # fmt: skip
    assert [row["object_id"] for row in json.loads(done.out)] == [str(IDS[i]) for i in WRONG if i < 40]


def test_the_first_unusable_rows_are_listed_and_all_are_counted(ours, tmp_path):
    rows = [(n, "S") for n in IDS] + [("", "E")] * 30
    file = write_csv(tmp_path / "c.csv", ["id", "T"], *rows)
    columns = CatalogueColumns(object_id="id", label="T", meanings={"S": "spiral"})
    found = compare(ours, file, survey="des", columns=columns)
    assert found.unusable == 30 and len(found.rejections) == 20 and found.rejections[0].row == N + 2
    told = found.warnings()
    assert "30 rows could not be used:" in told and "  ... and 10 more" in told
    with pytest.raises(InputError, match=r"since 30 rows could not be used: row 82: its id is empty .*; and 27 more"):
        compare(ours, file, survey="des", columns=columns, strict=True)


def test_a_number_is_the_same_code_however_it_is_written(ours, tmp_path):
    types = ["2.00" if says(i) else 1 for i in range(N)]
    path = write_csv(tmp_path / "theirs.csv", ["objid", "type"], *zip(IDS, types, strict=True))
    arguments = ["--id", "objid", "--label", "type", "--class", "elliptical=1.0", "--class", "spiral= 2."]
    done = cli("-w", ours.path, "compare", path, "--survey", "des", *arguments)
    assert done.code == 0 and "agree on 96.25 %" in done.out, done


def test_bins_of_more_objects_than_fit_are_of_a_sample_and_lose_none(ours, vega_ferrero, monkeypatch):
    whole = compare(ours, vega_ferrero).agreement.to_pylist()
    monkeypatch.setattr("catbuilder.inspection.compare._EXACT", 40)
    sampled = compare(ours, vega_ferrero).agreement.to_pylist()
    exact, rough = ([row for row in rows if row["variable"] == "mag_r"] for rows in (whole, sampled))
    assert (rough[0]["bin_low"], rough[-1]["bin_high"]) == (exact[0]["bin_low"], exact[-1]["bin_high"])
    assert sum(row["n"] for row in rough) == N and all(abs(row["n"] - N / 4) < 12 for row in rough)
    assert [row["bin_low"] for row in rough] != [row["bin_low"] for row in exact]


def test_probabilities_commit_where_one_is_large_enough(ours, tmp_path):
    rows = [(IDS[i], *((0.1, 0.9) if says(i) else (0.6, 0.4))) for i in range(N)]
    path = write_csv(tmp_path / "cheng.csv", ["COADD_OBJECT_ID", "P_E", "P_S"], *rows, (IDS[0] + 500, 0.5, 0.5))
    assert known_layout(open_table(path)).title == "Cheng et al. 2021"
    assert confusion(compare(ours, path)) == EXPECTED
    done = cli("-w", ours.path, "compare", path, "--least", "0.8", "--part", "confusion", "--format", "json")
    assert {row["theirs"]: row["objects"] for row in json.loads(done.out)[:2]} == {"elliptical": 0, "spiral": 1}


def test_a_file_with_unknown_columns_is_refused_with_the_options_to_give(ours, tmp_path, vega_ferrero):
    path = write_csv(tmp_path / "odd.csv", ["objid", "type"], [1, "E"])
    compared = ["-w", ours.path, "compare", path, "--survey", "des"]
    failed(cli(*compared), "no known layout", "--label", "--share")
    failed(cli(*compared, "--label", "type"), "id and position columns", "--id COLUMN")
    failed(cli(*compared, "--label", "kind", "--id", "objid"), "no column 'kind'")
    failed(cli(*compared, "--label", "type", "--id", "objid", "--class", "lens=E"), "lens", "elliptical, spiral")
    failed(cli(*compared, "--label", "type", "--id", "objid", "--class", "E"), "--class 'E' is not CLASS=VALUE")
    failed(cli(*compared[:-2], "--label", "type", "--id", "objid"), "des and sdss", "--survey")
    failed(cli(*compared, "--label", "type", "--id", "objid", "--by", "position"), "--ra and --dec")
    failed(cli("-w", ours.path, "compare", vega_ferrero, "--where", "colour > 1"), "--where 'colour > 1'")


def test_ids_that_were_rounded_are_refused(ours, tmp_path):
    path = tmp_path / "rounded.parquet"
    pq.write_table(pa.table({"id": [1.0], "type": ["spiral"]}), path)
    failed(cli("-w", ours.path, "compare", path, "--survey", "des", "--id", "id", "--label", "type"), "2^53")


def test_kappa_is_the_textbooks_and_its_interval_covers():
    counts = np.array([[20, 5], [10, 15]])
    found = measure_agreement(counts)
    ours = np.repeat([0, 0, 1, 1], counts.ravel())
    theirs = np.repeat([0, 1, 0, 1], counts.ravel())
    assert found.kappa == pytest.approx(cohen_kappa_score(ours, theirs)) == pytest.approx(0.4)
    assert found.agreement == 0.7
    assert found.kappa_low < 0.2 and found.kappa_high > 0.6
    # where objects are many it is the large-sample interval of Fleiss, Cohen and Everitt (1969): 0.127 of 50 objects
    many = measure_agreement(40 * counts)
    assert many.kappa_low == pytest.approx(0.4 - 1.96 * 0.127 / np.sqrt(40), abs=0.003)
    assert many.kappa_high == pytest.approx(0.4 + 1.96 * 0.127 / np.sqrt(40), abs=0.003)


@pytest.mark.parametrize(("classes", "n"), [(3, 300), (10, 1000)])
def test_the_interval_of_kappa_covers_with_any_number_of_classes(classes, n):
    shares = np.full((classes, classes), 0.1 / (classes * (classes - 1)))
    np.fill_diagonal(shares, 0.9 / classes)
    truth = (0.9 - 1 / classes) / (1 - 1 / classes)
    drawn = np.random.default_rng(5).multinomial(n, shares.ravel(), 100).reshape(-1, classes, classes)
    found = [measure_agreement(counts) for counts in drawn]
    assert 88 <= sum(one.kappa_low <= truth <= one.kappa_high for one in found) <= 99


def test_few_objects_that_agree_do_not_prove_that_all_do():
    found = measure_agreement([[5, 0], [0, 5]])
    assert found.kappa == 1 == found.kappa_high and found.kappa_low < 0.8
    one_class = measure_agreement([[7, 0], [0, 0]])
    assert one_class.agreement == 1 and one_class.kappa is None
    assert measure_agreement(np.zeros((2, 2))).n == 0
