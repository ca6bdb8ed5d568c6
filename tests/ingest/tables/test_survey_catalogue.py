"""Survey catalogues in: exact ids, positions as the archives write them, what is refused, and what stays as it was."""

import functools
import gzip
import itertools
import math
import warnings
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.coordinates import Angle
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.new_workspace import create_workspace
from support.workspaces import ask, cli, failed, galaxy, write_csv, write_images

from catbuilder.catalogue.round_records import NOW
from catbuilder.catalogue.schema import apply_views, data_dictionary
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError
from catbuilder.core.resources import query
from catbuilder.core.sky import healpix_cell
from catbuilder.ingest.images import ingest_images
from catbuilder.ingest.tables import typed_columns
from catbuilder.ingest.tables.archives import ARCHIVES
from catbuilder.ingest.tables.survey_catalogue import SurveyReport, ingest_survey
from catbuilder.sets.aliases import find_aliases

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
CATALOGS = DATA / "catalogs"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the optional folder ../shared/data is not here")

BIG = 2**62 + 1
SDSS = 587722983361675518  # an objID of DR7
SDSS_DR8 = 1237645942905110768


@pytest.fixture
def workspace(tmp_path):
    return create_workspace(tmp_path / "ws")


def standing_tables(at: int = NOW) -> dict[str, str]:
    """SQL of what the catalogue says of every object, without the numbers of recordings."""
    tables = {"objects": f"SELECT * EXCLUDE (round, run) FROM standing_objects_at({at})"}
    for table in ("galaxy_zoo", "sdss_photoobj", "des_coadd"):
        tables[table] = (
            f"SELECT * EXCLUDE (round, run) FROM {table} AS t WHERE t.round <= {at} "
            f"AND NOT EXISTS (FROM revisions AS r WHERE r.table_name = '{table}' AND r.survey = t.survey "
            f"AND r.object_id = t.object_id AND r.replaced_run = t.run AND r.round <= {at})"
        )
    return tables


def standing(workspace: Workspace, at: int = NOW) -> dict[str, list[tuple]]:
    return {
        name: ask(workspace, f"SELECT * FROM ({text}) ORDER BY survey, object_id")
        for name, text in standing_tables(at).items()
    }


def des_table(ids=(BIG, 7, 12), **columns) -> Table:
    """Rows of the DES main table."""
    n = len(ids)
    table = Table({"COADD_OBJECT_ID": np.array(ids, np.int64), "TILENAME": ["DES0001-4914"] * n})
    table["RA"], table["DEC"] = np.linspace(10.5, 20.25, n), np.linspace(-40.125, -41.5, n)
    for k, name in enumerate(
        ["MAG_AUTO_G", "MAG_AUTO_R", "MAG_AUTO_I", "A_IMAGE", "KRON_RADIUS", "WAVG_SPREAD_MODEL_I"]
    ):
        table[name] = np.linspace(1.1 + k, 2.3 + k, n).astype("f4")
    table["FLAGS_G"] = np.arange(n, dtype="i2")
    for name, values in columns.items():
        table[name] = values
    return table


def write(table: Table, path: Path) -> Path:
    if path.name.endswith(".parquet"):
        kinds = [
            pa.string() if table[c].dtype.kind == "U" else pa.from_numpy_dtype(table[c].dtype) for c in table.colnames
        ]
        units = [{"unit": str(table[c].unit or "")} for c in table.colnames]
        fields = [pa.field(c, kind, metadata=unit) for c, kind, unit in zip(table.colnames, kinds, units, strict=True)]
        pq.write_table(pa.table([table[c].tolist() for c in table.colnames], schema=pa.schema(fields)), path)
    elif path.name.endswith((".csv", ".csv.gz")):
        with gzip.open(path, "wt") if path.suffix == ".gz" else open(path, "w") as file:
            table.write(file, format="ascii.csv")
    else:
        table.write(path, format="votable" if path.suffix == ".vot" else "fits", overwrite=True)
    return path


def ingest_des(workspace: Workspace, table: Table, file: str = "des.fits", **options) -> SurveyReport:
    return ingest_survey(workspace, write(table, workspace.path / file), "des", **options)


def gz1_csv(path: Path, *rows: tuple) -> Path:
    """Galaxy Zoo 1 Table 2: id, ra, dec and the debiased share for spiral."""
    names = "OBJID RA DEC NVOTE P_EL P_CW P_ACW P_EDGE P_DK P_MG P_CS P_EL_DEBIASED P_CS_DEBIASED"
    rest = [30, 0.25, 0, 0, 0.75, 0, 0, 0.75]
    return write_csv(
        path, [*names.split(), "SPIRAL", "ELLIPTICAL", "UNCERTAIN"],
        *([one, ra, dec, *rest, round(1 - share, 3), share, 1, 0, 0] for one, ra, dec, share in rows),
    )  # fmt: skip


def sdss_csv(path: Path, *rows: tuple) -> Path:
    names = "objid ra dec u g r i z run rerun camcol field petroRad_r"
    return write_csv(path, names.split(), *rows)


def sdss_row(one: int, ra: float, dec: float, g: float = 17.5, radius: float = 5.5) -> tuple:
    return one, ra, dec, 19.5, g, 16.5, 16.25, 16, 745, 40, 2, 519, radius


def images(workspace: Workspace, survey: str, *rows: tuple) -> None:
    folder = workspace.path / "images"
    folder.mkdir()
    for one, *_ in rows:
        Image.fromarray(galaxy(one % 1000)).save(folder / f"{one}.png")
    table = write_csv(
        folder / "t.csv", ["object_id", "file", "ra", "dec", "mag_g"],
        *([one, f"{one}.png", ra, dec, mag] for one, ra, dec, mag in rows),
    )  # fmt: skip
    assert not ingest_images(workspace, folder, table, survey=survey).rejections


# --- the real catalogues


@real
@pytest.mark.real
@pytest.mark.slow
def test_the_real_catalogues_come_in_whole_and_in_any_order_give_the_same(tmp_path):
    files = {"gz1": "gz1_table2.csv", "sdss": "sdss_dr7_photoobj.csv.gz", "des": "des_dr1_main.fits"}
    contents = []
    # of each two files either comes first once
    for order in (tuple(files), tuple(reversed(files))):
        workspace = create_workspace(tmp_path / "_".join(order))
        reports = {kind: ingest_survey(workspace, CATALOGS / files[kind], kind) for kind in order}
        assert {kind: (r.rows, r.rows_added, r.rejected) for kind, r in reports.items()} == {
            "gz1": (17_945, 17_945, 0), "sdss": (56_392, 56_392, 0), "des": (16_982, 16_982, 0),
        }  # fmt: skip
        counts = (
            f"SELECT survey, origin, count(*), count(healpix) FROM standing_objects_at({NOW}) GROUP BY ALL ORDER BY 1"
        )
        assert ask(workspace, counts) == [("des", "des", 16_982, 16_982), ("sdss", "sdss", 56_392, 56_392)]
        assert ask(workspace, "SELECT count(votes) FROM catalog") == [(17_945,)]
        contents.append(ask(workspace, " UNION ALL ".join(
            f"SELECT count(*), bit_xor(hash(t)) FROM ({text}) AS t" for text in standing_tables().values()
        )))  # fmt: skip
    assert all(content == contents[0] for content in contents)


@real
@pytest.mark.real
def test_every_cell_of_the_real_des_table_is_kept(tmp_path):
    workspace = create_workspace(tmp_path / "ws")
    ingest_survey(workspace, CATALOGS / "des_dr1_main.fits", "des")
    there = fits.getdata(CATALOGS / "des_dr1_main.fits")
    there = there[np.argsort(there["COADD_OBJECT_ID"])]
    ours = ask(
        workspace,
        "SELECT object_id, ra, dec, mag_i, wavg_spread_model_i, tilename, radius_arcsec FROM des_sources ORDER BY 1",
    )
    columns = [np.array(column, object) for column in zip(*ours, strict=True)]
    for k, name in enumerate(["COADD_OBJECT_ID", "RA", "DEC"]):
        np.testing.assert_array_equal(columns[k].astype(there[name].dtype), there[name])
    for k, (name, sentinel) in enumerate([("MAG_AUTO_I", 99), ("WAVG_SPREAD_MODEL_I", -99)], 3):
        assert [value is None for value in columns[k]] == list(there[name] == sentinel)
        kept = there[name] != sentinel
        np.testing.assert_array_equal(columns[k][kept].astype("f4"), there[name][kept])
    assert list(columns[5]) == [text.strip() for text in there["TILENAME"]]
    np.testing.assert_allclose(columns[6].astype(float), there["KRON_RADIUS"] * there["A_IMAGE"] * 0.263, rtol=1e-5)


# --- formats


@pytest.mark.parametrize("file", ["des.csv", "des.csv.gz", "des.fits.gz", "des.vot", "des.parquet"])
def test_every_format_gives_the_same_rows(workspace, tmp_path, file):
    table = des_table()
    table["MAG_AUTO_R"] = MaskedColumn([99.0, 18.5, 17.25], mask=[False, False, file == "des.vot"], dtype="f4")
    plain = Table(table)
    plain["MAG_AUTO_R"] = np.array([99.0, 18.5, np.nan if file == "des.vot" else 17.25], "f4")
    other = create_workspace(tmp_path / "other")
    assert ingest_des(workspace, table if file == "des.vot" else plain, file).objects_added == 3
    ingest_des(other, plain)
    assert standing(workspace) == standing(other)
    assert standing(workspace)["objects"][2][1] == BIG
    assert ask(workspace, "SELECT object_id, healpix FROM objects ORDER BY 1")[0][1] == healpix_cell(15.375, -40.8125)


def test_column_names_are_found_in_any_case_and_the_rest_of_the_file_is_left(workspace):
    table = des_table()
    table.rename_columns(table.colnames, [name.lower() for name in table.colnames])
    table["vector"] = np.ones((3, 2))
    assert ingest_des(workspace, table).objects_added == 3


def test_objects_are_stored_in_the_order_of_their_ids(workspace):
    ids = np.random.default_rng(0).permutation(5000) + 1
    ingest_des(workspace, des_table(ids))
    for table in ("objects", "des_coadd"):
        assert ask(workspace, f"SELECT object_id FROM {table} ORDER BY rowid") == [(i,) for i in range(1, 5001)]


def test_parts_of_parquet_come_in_as_one_and_a_bad_row_is_told_by_its_part(workspace, tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    write(des_table((1, 2)), folder / "a.parquet")
    write(des_table((3, 2), DEC=[0.5, 99.5]), folder / "b.parquet")
    report = ingest_survey(workspace, folder, "des")
    assert report.objects_added == 3
    assert [(Path(r.file).name, r.row, r.object_id, r.reason) for r in report.rejections] == [
        ("b.parquet", 2, "2", "DEC is 99.5 deg, outside -90 to 90")
    ]


def test_a_bad_row_is_not_told_of_a_part_without_rows(workspace, tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for name, table in (("a", des_table((1, 2))), ("b", des_table((1,))[:0]), ("c", des_table((3, -4)))):
        write(table, folder / f"{name}.parquet")
    report = ingest_survey(workspace, folder, "des")
    assert [(Path(r.file).name, r.row) for r in report.rejections] == [("c.parquet", 2)]


# --- content


@st.composite
def sexagesimal(draw: st.DrawFn) -> tuple[str, str]:
    """A right ascension and a declination, in one of the ways in which they are written."""
    comma, width = draw(st.sampled_from([":", " ", " : ", "  "])), draw(st.sampled_from([1, 2]))
    tail = f"{comma}{draw(st.integers(0, 59)):0{width}d}{comma}{draw(st.decimals(0, 60, places=3))}"
    sign = draw(st.sampled_from(["+", "-", ""]))
    return f"{draw(st.integers(0, 23)):0{width}d}{tail}", f"{sign}{draw(st.integers(0, 89)):0{width}d}{tail}"


# Many texts for each example, since a query costs as much for one as for all.


@settings(max_examples=20, deadline=None)
@given(st.lists(sexagesimal(), min_size=10, max_size=10))
def test_sexagesimal_positions_are_those_of_astropy(positions):
    found = degrees_of([(ra, f" {dec} ") for ra, dec in positions])
    for (ra, dec), place in zip(positions, found, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astropy warns of 60 seconds, and takes them
            expected = [Angle(text.replace(" : ", ":"), unit).deg for text, unit in ((ra, u.hourangle), (dec, u.deg))]
        assert list(place) == pytest.approx(expected, abs=1e-11), (ra, dec)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=12), st.from_regex(r"\A[0-9]{1,3}[: ][0-9]{1,3}[: ][0-9]{1,3}\Z")),
                min_size=5, max_size=5))  # fmt: skip
def test_what_is_no_position_is_none_and_never_an_error(texts):
    texts = [text.replace("\x00", "") for text in texts]
    for text, place in zip(texts, degrees_of([(text, text) for text in texts]), strict=True):
        parts = text.replace(":", " ").split()
        of_digits = len(parts) == 3 and all(part.isascii() and part.isdigit() for part in parts)
        if of_digits and max(map(int, parts[1:])) > 60:
            assert place == (None, None), text


def degrees_of(positions: list[tuple[str, str]]) -> list[tuple[float | None, float | None]]:
    ra, dec = zip(*positions, strict=True)
    asked = (
        "SELECT sexagesimal_ra(cell(ra)), sexagesimal_dec(cell(dec)) "
        "FROM (SELECT unnest($ra) AS ra, unnest($dec) AS dec)"
    )
    return macros().execute(asked, {"ra": list(ra), "dec": list(dec)}).fetchall()


def test_a_text_that_is_no_position_is_rejected_by_its_value(workspace, tmp_path):
    texts = ["25:00:00", "12:60:00", "12:00:61", "12m30s", "12:30", "x", "-25:00:00"]
    bad = [(SDSS + k, ra, "+01:02:03", 0.9) for k, ra in enumerate(texts)]
    file = gz1_csv(tmp_path / "gz.csv", *bad, (SDSS + 50, "10:00:00", "-00:30:00.0", 0.9))
    report = ingest_survey(workspace, file, "gz1")
    assert report.objects_added == 1 and report.rejected == len(texts)
    for k, (ra, rejection) in enumerate(zip(texts, report.rejections, strict=True)):
        assert rejection.row == 2 + k and f"RA is '{ra}'" in rejection.reason
    assert ask(workspace, "SELECT object_id, ra, dec FROM objects") == [(SDSS + 50, 150.0, -0.5)]


def test_votes_are_kept_with_flags_and_shown_as_the_catalogue_s_votes(workspace, tmp_path):
    ingest_survey(workspace, gz1_csv(tmp_path / "gz.csv", (SDSS, 10.5, -1.25, 0.875)), "gz1")
    columns = "nvote, p_el, p_edge, p_cs, p_el_debiased, p_cs_debiased, spiral, elliptical, uncertain"
    assert ask(workspace, f"SELECT {columns} FROM galaxy_zoo") == [(30, 0.25, 0.75, 0.75, 0.125, 0.875, 1, 0, 0)]
    assert ask(workspace, "SELECT votes, ra, dec FROM catalog") == [(0.875, 10.5, -1.25)]


BAD_ROWS = [
    ({"RA": math.nan}, "RA is missing"),
    ({"RA": math.nan, "DEC": math.nan}, "it has no position"),
    ({"RA": -180.5}, "RA is -180.5 deg, outside -180 to 360"),
    ({"RA": math.inf}, "RA is inf deg, outside -180 to 360"),
    ({"DEC": -90.5}, "DEC is -90.5 deg, outside -90 to 90"),
    ({"COADD_OBJECT_ID": -5}, "COADD_OBJECT_ID -5 is not a whole positive number"),
    ({"FLAGS_G": 70000}, "FLAGS_G is '70000', which is not a whole number from -32,768 to 32,767"),
]


@pytest.mark.parametrize("bad", [BAD_ROWS, [({"FLAGS_G": 1.5}, "FLAGS_G is '1.5', which is not a whole number")]])
def test_a_bad_row_is_rejected_with_its_reason_and_the_others_load(workspace, bad):
    table = des_table(range(1, len(bad) + 3), FLAGS_G=[type(bad[-1][0]["FLAGS_G"])(1)] * (len(bad) + 2))
    for row, (cells, _) in enumerate(bad):
        for name, value in cells.items():
            table[name][row] = value
    report = ingest_des(workspace, table)
    assert report.rows == len(bad) + 2 and report.objects_added == report.rows_added == 2
    assert report.rejected == len(report.rejections) == len(bad)
    for row, ((cells, reason), rejection) in enumerate(zip(bad, report.rejections, strict=True), start=1):
        assert rejection.row == row and reason in rejection.reason and rejection.file.endswith("des.fits"), cells
    assert ask(workspace, "SELECT file, row, object_id, reason FROM rejections ORDER BY row") == [
        (rejection.file, rejection.row, rejection.object_id, rejection.reason) for rejection in report.rejections
    ]


def test_bad_rows_of_csv_are_told_by_their_line(workspace, tmp_path):
    good = sdss_row(SDSS, 10, 1)
    lines = [
        "#Table1", "objid,ra,dec,u,g,r,i,z,run,rerun,camcol,field,petroRad_r", ",".join(map(str, good)), "1,2,3", "",
        "5.87724E+17" + ",".join(map(str, ("", *good[1:]))), ",1,2,3,4,5,6,7,8,9,10,11,12",
        ",".join(map(str, (SDSS + 2, *good[1:5], "bright", *good[6:]))), "99999999999999999999,1,2,3,4,5,6,7,8,9,1,1,1",
        ",".join(map(str, (SDSS, *good[1:]))), ",".join(map(str, (SDSS + 3, *good[1:]))),
    ]  # fmt: skip
    (tmp_path / "p.csv").write_text("\n".join(lines))
    report = ingest_survey(workspace, tmp_path / "p.csv", "sdss")
    assert (report.rows, report.objects_added, report.rejected) == (8, 2, 6)
    assert [(r.row, r.object_id, r.reason) for r in report.rejections] == [
        (4, "1", "it has fewer cells than the header"),
        (6, "5.87724E+17", "objid 5.87724E+17 is not a whole positive number; was the table saved by a spreadsheet?"),
        (7, "", "objid is empty; every row needs one"),
        (8, str(SDSS + 2), "r is 'bright', which is not a number of at most 3.4e38"),
        (9, "99999999999999999999", "objid 99999999999999999999 does not fit 64 bits"),
        (10, str(SDSS), "the same objid is already in row 3"),
    ]


def test_rows_that_an_unclosed_quote_loses_are_not_lost_silently(workspace, tmp_path):
    lines = [f"{SDSS + k},{k * 0.003:.3f},1.0,a cell of some width,y\n" for k in range(100_000)]
    lines[5] = lines[5].replace(",y", ',"y')
    (tmp_path / "p.csv").write_text("objid,ra,dec,note,name\n" + "".join(lines))
    with pytest.raises(InputError, match=r"in row 7 a quoted cell does not end, and [\d,]+ rows after it"):
        ingest_survey(workspace, tmp_path / "p.csv", "sdss")
    assert ask(workspace, "SELECT count(*) FROM objects") == [(0,)]


def test_a_vote_share_beyond_one_is_rejected(workspace, tmp_path):
    report = ingest_survey(workspace, gz1_csv(tmp_path / "gz.csv", (SDSS, 1, 1, 0.5), (SDSS + 1, 1, 1, 1.5)), "gz1")
    assert "P_EL_DEBIASED is -0.5, outside 0 to 1" in report.rejections[0].reason and report.objects_added == 1


def test_sentinels_become_null_and_are_counted(workspace, tmp_path):
    table = des_table(
        MAG_AUTO_G=[99.0, -99.0, 18], WAVG_SPREAD_MODEL_I=[-99.0, 0.01, math.nan], MAG_AUTO_R=[math.inf, 1, 2]
    )
    report = ingest_des(workspace, table)
    assert report.sentinels == {"MAG_AUTO_G": 2, "WAVG_SPREAD_MODEL_I": 1}
    rows = ask(workspace, "SELECT mag_g, mag_r, wavg_spread_model_i FROM des_sources ORDER BY object_id DESC")
    assert rows[0] == (None, None, None)
    assert ask(workspace, "SELECT count(mag_g), count(mag_r), count(wavg_spread_model_i) FROM des_sources") == [
        (1, 2, 1)
    ]
    report = ingest_survey(workspace, sdss_csv(tmp_path / "s.csv", sdss_row(SDSS, 1, 1, -9999, -9999)), "sdss")
    assert report.sentinels == {"g": 1, "petroRad_r": 1}
    assert ask(workspace, "SELECT mag_g, mag_r, radius_arcsec, u, imaging_run FROM sdss_sources") == [
        (None, 16.5, None, 19.5, 745)
    ]


def test_a_repeated_id_keeps_its_first_row(workspace):
    report = ingest_des(workspace, des_table((5, 6, 5, 5)))
    assert report.objects_added == 2 and report.rejected == 2
    assert [(r.row, r.reason) for r in report.rejections] == [
        (row, "the same COADD_OBJECT_ID is already in row 1") for row in (3, 4)
    ]
    assert ask(workspace, "SELECT ra FROM objects WHERE object_id = 5") == [(10.5,)]


def test_many_rejections_are_all_recorded_and_the_first_twenty_told(workspace):
    report = ingest_des(workspace, des_table(range(1, 102), RA=np.full(101, 361.0)))
    assert report.rejected == 101 and report.objects_added == 0
    assert [r.row for r in report.rejections] == list(range(1, 21))
    assert ask(workspace, "SELECT count(*), max(row) FROM rejections") == [(101, 101)]


@pytest.mark.parametrize("file", ["des.fits", "des.parquet", "des.csv"])
def test_a_row_is_told_by_its_number_in_a_table_of_many_row_groups_too(workspace, tmp_path, file):
    bad = np.random.default_rng(0).choice(250_000, 40, replace=False)
    dec = np.zeros(250_000)
    dec[bad] = 91
    table = Table({"COADD_OBJECT_ID": np.arange(1, 250_001), "RA": dec + 1, "DEC": dec})
    path = tmp_path / file
    {
        ".fits": lambda: table.write(path),
        ".parquet": lambda: pq.write_table(pa.table({c: np.array(table[c]) for c in table.colnames}), path),
        ".csv": lambda: pyarrow.csv.write_csv(pa.table({c: np.array(table[c]) for c in table.colnames}), path),
    }[path.suffix]()
    ingest_survey(workspace, path, "des")
    header = 1 if file == "des.csv" else 0
    rows = ask(workspace, "SELECT row, object_id FROM rejections ORDER BY row")
    assert rows == [(number + 1 + header, str(number + 1)) for number in sorted(bad)]


def test_missing_columns_that_matter_are_named_and_are_null(workspace):
    report = ingest_des(workspace, des_table()["COADD_OBJECT_ID", "RA", "DEC"])
    assert report.objects_added == 3 and "MAG_AUTO_G" in report.missing and "IMAFLAGS_ISO_I" in report.missing
    assert "TILENAME" not in report.missing
    assert ask(workspace, "SELECT DISTINCT mag_g, radius_arcsec, tilename FROM des_sources") == [(None, None, None)]


# --- what is refused


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.remove_column("DEC"), "it has no column DEC (needed are COADD_OBJECT_ID, RA, DEC; it has"),
        (lambda t: t.replace_column("COADD_OBJECT_ID", t["COADD_OBJECT_ID"].astype(float)), "rounded the ids"),
        (lambda t: t.replace_column("COADD_OBJECT_ID", np.ones(3, bool)), "holds truth values"),
        (lambda t: t.remove_rows([0, 1, 2]), "has columns but no rows"),
        (lambda t: t.replace_column("RA", np.ones((3, 2))), "does not hold one value per row"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_and_nothing_is_recorded(workspace, change, words):
    table = des_table()
    change(table)
    write(table, workspace.path / "des.fits")
    failed(cli("-w", workspace.path, "ingest", "des", workspace.path / "des.fits"), words, "des.fits")
    assert ask(workspace, "SELECT count(*) FROM objects") == ask(workspace, "SELECT count(*) FROM runs") == [(0,)]


def test_a_fits_file_cut_short_leaves_nothing_behind(workspace, tmp_path):
    file = write(des_table(range(1, 2001)), tmp_path / "des.fits")
    file.write_bytes(file.read_bytes()[:-60_000])
    failed(cli("-w", workspace.path, "ingest", "des", file), "declares 2,000 rows and holds", "it was cut short")
    assert ask(workspace, "SELECT count(*) FROM objects") == ask(workspace, "SELECT count(*) FROM runs") == [(0,)]


def test_a_survey_that_is_not_in_the_settings_is_refused(workspace):
    with pytest.raises(InputError, match="unknown survey 'hsc'; this workspace has sdss, des"):
        ingest_des(workspace, des_table(), survey="hsc")


def with_survey(workspace: Workspace, name: str, release: str) -> Workspace:
    settings_file = workspace.path / "catbuilder.toml"
    settings_file.write_text(f'{settings_file.read_text()}\n[surveys.{name}]\nrelease = "{release}"\n')
    return Workspace.open(workspace.path)


def test_des_dr2_is_refused_where_dr1_stands_and_comes_in_under_a_name_of_its_own(workspace):
    table = des_table(EXTENDED_CLASS_COADD=np.array([3, 0, -9], "i2"))
    with pytest.raises(
        InputError, match=r"seems to be of DES DR2 .*EXTENDED_CLASS_COADD.*\[surveys.des_dr2\].*--survey des_dr2"
    ):
        ingest_des(workspace, table)
    workspace = with_survey(workspace, "des_dr2", "DR2")
    report = ingest_des(workspace, table, survey="des_dr2")
    assert report.objects_added == 3 and report.sentinels["EXTENDED_CLASS_COADD"] == 1
    assert ask(workspace, "SELECT DISTINCT survey FROM des_sources") == [("des_dr2",)]
    assert ask(workspace, "SELECT count(extended_class_coadd) FROM des_sources") == [(2,)]


def test_sdss_ids_of_another_release_are_refused(workspace, tmp_path):
    new = sdss_csv(tmp_path / "new.csv", sdss_row(SDSS_DR8, 1, 1), sdss_row(SDSS_DR8 + 1, 2, 2))
    with pytest.raises(InputError, match=r"seems to be of SDSS DR8 or later.*sdss holds DR7.*\[surveys.sdss_dr8\]"):
        ingest_survey(workspace, new, "sdss")
    workspace = with_survey(workspace, "sdss_dr8", "DR8")
    assert ingest_survey(workspace, new, "sdss", survey="sdss_dr8").objects_added == 2
    old = gz1_csv(tmp_path / "old.csv", (SDSS, 1, 1, 0.5))
    with pytest.raises(InputError, match="seems to be of SDSS DR7 or earlier"):
        ingest_survey(workspace, old, "gz1", survey="sdss_dr8")


def test_of_a_file_that_mixes_releases_the_others_are_rejected(workspace, tmp_path):
    mixed = sdss_csv(tmp_path / "mixed.csv", sdss_row(SDSS, 1, 1), sdss_row(SDSS_DR8, 2, 2))
    report = ingest_survey(workspace, mixed, "sdss")
    assert report.objects_added == 1
    assert report.rejections[0].reason == "its id is numbered by SDSS DR8 or later, and survey sdss holds DR7"


def test_a_catalogue_of_another_numbering_is_refused(workspace, tmp_path):
    photo = sdss_csv(tmp_path / "s.csv", sdss_row(SDSS, 1, 1))
    failed(
        cli("-w", workspace.path, "ingest", "sdss", photo, "--survey", "des"),
        "survey des numbers its objects by COADD_OBJECT_ID and SDSS PhotoObj by objID", "--survey",
    )  # fmt: skip
    with pytest.raises(InputError, match="survey sdss numbers its objects by objID and the DES main table by"):
        ingest_des(workspace, des_table(), survey="sdss")
    assert ingest_survey(workspace, gz1_csv(tmp_path / "g.csv", (SDSS, 1, 1, 0.5)), "gz1").objects_added == 1


# --- twice, differing, updated


@pytest.mark.parametrize("kind", ARCHIVES)
def test_the_same_file_twice_changes_nothing_and_says_so(workspace, tmp_path, kind):
    file = {
        "gz1": lambda: gz1_csv(tmp_path / "f.csv", (SDSS, "01:00:00", "+01:00:00", 0.5), (SDSS + 1, 3, 4, 0.25)),
        "sdss": lambda: sdss_csv(tmp_path / "f.csv", sdss_row(SDSS, 1, 1), sdss_row(SDSS + 1, 2, 2, -9999)),
        "des": lambda: write(des_table(MAG_AUTO_G=[99.0, 17, 18]), tmp_path / "f.fits"),
    }[kind]()
    first = cli("-w", workspace.path, "ingest", kind, file)
    assert first.code == 0 and "Nothing has changed" not in first.out
    before = standing(workspace)
    for option in ((), ("--update",)):
        again = cli("-w", workspace.path, "ingest", kind, file, *option)
        assert again.code == 0 and "Nothing has changed." in again.out and "0 objects added" in again.out
        assert standing(workspace) == before
    assert ask(workspace, "SELECT count(*) FROM revisions") == [(0,)]


def test_values_that_differ_are_told_and_left_as_they_stand(workspace):
    ingest_des(workspace, des_table((1, 2, 3)))
    before = standing(workspace)
    report = ingest_des(workspace, des_table((1, 2, 4), FLAGS_G=np.array([0, 9, 2], "i2"), RA=[11.5, 15.375, 3.0]))
    assert (report.objects_added, report.differing, report.unchanged, report.updated) == (1, 2, 0, False)
    assert {(d.object_id, d.column, d.old, d.new) for d in report.differences} == {
        (1, "ra", 10.5, 11.5), (2, "flags_g", 1, 9),
    }  # fmt: skip
    assert str(report.differences[0]) == "1: ra 10.5 in the catalogue, 11.5 in the file"
    assert [row for row in standing(workspace)["objects"] if row[1] < 4] == before["objects"]


def test_an_update_is_a_new_row_and_the_earlier_round_answers_as_before(workspace):
    ingest_des(workspace, des_table((1, 2, 3)))
    before = standing(workspace)
    with workspace.recording("a round begins") as recording:
        recording.con.execute("INSERT INTO rounds (round, run) VALUES (1, ?)", [recording.run])
    changed = des_table((1, 2, 3), FLAGS_G=np.array([0, 9, 2], "i2"), RA=[11.5, 15.375, 20.25])
    changed.remove_columns(["MAG_AUTO_R", "TILENAME"])
    report = ingest_des(workspace, changed, update=True)
    assert (report.objects_added, report.rows_added, report.differing, report.unchanged) == (0, 0, 2, 1)
    now = standing(workspace)
    assert [row[3] for row in now["objects"]] == [11.5, 15.375, 20.25]
    assert ask(workspace, "SELECT flags_g, tilename, mag_r FROM des_sources ORDER BY object_id") == [
        (0, "DES0001-4914", pytest.approx(2.1)), (9, "DES0001-4914", pytest.approx(2.7)),
        (2, "DES0001-4914", pytest.approx(3.3)),
    ]  # fmt: skip
    assert now["objects"][0][5] == healpix_cell(11.5, -40.125)
    assert standing(workspace, at=1) == before
    assert ask(workspace, "SELECT ra FROM catalog_at(1) WHERE object_id = 1") == [(10.5,)]
    assert ask(workspace, "SELECT table_name, object_id FROM revisions ORDER BY 1") == [
        ("des_coadd", 2),
        ("objects", 1),
    ]
    assert ingest_des(workspace, changed, update=True).unchanged == 3
    assert cli("-w", workspace.path, "check").code == 0


def test_ctrl_c_in_the_middle_is_no_error_and_leaves_nothing(workspace, monkeypatch):
    def interrupted(ra, dec):
        raise KeyboardInterrupt

    monkeypatch.setattr(typed_columns, "_healpix", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ingest_des(workspace, des_table())
    assert ask(workspace, "SELECT count(*) FROM objects") == ask(workspace, "SELECT count(*) FROM runs") == [(0,)]


def test_what_is_no_longer_measured_is_told_and_emptied_by_an_update(workspace):
    full = des_table((1, 2))
    ingest_des(workspace, full)
    again = des_table((1, 2), MAG_AUTO_R=np.array([99, 3.3], "f4"), A_IMAGE=np.array([np.nan, 5.3], "f4"))
    report = ingest_des(workspace, again)
    told = {(d.object_id, d.column): d.new for d in report.differences}
    assert report.differing == 1 and told == {(1, name): None for name in ("mag_r", "radius_arcsec", "a_image")}
    assert ingest_des(workspace, again, update=True).differing == 1
    found = "SELECT mag_r, a_image, radius_arcsec, mag_g IS NULL FROM des_sources WHERE object_id = 1"
    assert ask(workspace, found) == [(None, None, None, False)]
    assert ingest_des(workspace, again).unchanged == ingest_des(workspace, again, update=True).unchanged == 2
    assert cli("-w", workspace.path, "check").code == 0


def test_the_radius_follows_from_columns_of_this_file_and_of_earlier_ones_together(workspace):
    ingest_des(workspace, des_table((1, 2)))
    one = des_table((1, 2))["COADD_OBJECT_ID", "RA", "DEC", "A_IMAGE"]
    one["A_IMAGE"] = np.array([10, 5.3], "f4")
    report = ingest_des(workspace, one, update=True)
    assert {d.column for d in report.differences} == {"a_image", "radius_arcsec"}
    (measured,) = ask(workspace, "SELECT kron_radius, radius_arcsec FROM des_sources WHERE object_id = 1")
    assert measured[1] == pytest.approx(measured[0] * 10 * 0.263)
    assert ingest_des(workspace, one, update=True).unchanged == 2
    one.remove_column("A_IMAGE")
    assert ingest_des(workspace, one, update=True).unchanged == 2


# --- which file knows best


def test_in_any_order_the_photometric_position_stands_and_votes_are_kept(tmp_path):
    zoo = gz1_csv(tmp_path / "gz.csv", (SDSS, 10.001, 1, 0.5), (SDSS + 1, 30, 3, 0.5))
    photo = sdss_csv(tmp_path / "s.csv", sdss_row(SDSS, 10, 1), sdss_row(SDSS + 2, 20, 2))
    contents = []
    for order in itertools.permutations((("gz1", zoo), ("sdss", photo))):
        workspace = create_workspace(tmp_path / f"{order[0][0]} first")
        reports = {kind: ingest_survey(workspace, file, kind) for kind, file in order}
        assert all(not r.differing and not r.rejected for r in reports.values())
        contents.append(standing(workspace))
        assert cli("-w", workspace.path, "check").code == 0
    assert contents[0] == contents[1]
    rows = ask(workspace, f"SELECT object_id, ra, mag_g, origin FROM standing_objects_at({NOW}) ORDER BY 1")
    assert rows == [(SDSS, 10, 17.5, "sdss"), (SDSS + 1, 30, None, "gz1"), (SDSS + 2, 20, 17.5, "sdss")]


def test_an_image_gets_the_catalogue_s_position_keeps_what_that_lacks_and_a_far_one_is_misplaced(workspace, tmp_path):
    images(workspace, "sdss", (SDSS, 10.0, 0.0, 14.5), (SDSS + 1, 20.0, 0.0, 14.5), (SDSS + 2, "", "", 14.5))
    photo = write_csv(
        tmp_path / "s.csv", ["objid", "ra", "dec", "r"],
        [SDSS, 10.0001, 0, -9999], [SDSS + 1, 20.01, 0, 17.5], [SDSS + 2, 30, 0, 17.5],
    )  # fmt: skip
    report = ingest_survey(workspace, photo, "sdss")
    assert (report.objects_added, report.rows_added, report.taken_over, report.differing) == (0, 3, 3, 0)
    assert report.moved == report.misplaced == 1
    assert report.farthest == ((SDSS + 1, pytest.approx(36, abs=0.01)),) and report.rejected == 0
    assert ask(workspace, "SELECT ra, mag_g, mag_r, quality, domain FROM catalog ORDER BY object_id") == [
        (10.0001, 14.5, None, "ok", "in"), (20.01, 14.5, 17.5, "misplaced", "artefact"), (30.0, 14.5, 17.5, "ok", "in"),
    ]  # fmt: skip
    first, last = ask(workspace, f"SELECT * EXCLUDE run FROM stamps WHERE object_id = {SDSS + 1} ORDER BY run")
    assert first[2] is not None and last[2:4] == (None, None) and last[4:10] == first[4:10]
    told = ask(workspace, "SELECT file, row, object_id, reason FROM rejections")
    assert told == [(first[4], None, str(SDSS + 1), last[11])]
    assert "36.0 arcsec from the catalogue's position" in last[11]
    assert ingest_survey(workspace, photo, "sdss").unchanged == 3
    zoo = ingest_survey(workspace, gz1_csv(tmp_path / "gz.csv", (SDSS, 50, 1, 0.5)), "gz1", update=True)
    assert (zoo.rows_added, zoo.objects_added, zoo.taken_over, zoo.differing) == (1, 0, 0, 0)
    assert ask(workspace, "SELECT ra FROM catalog ORDER BY object_id LIMIT 1") == [(10.0001,)]


def test_a_far_image_is_told_with_what_became_of_its_stamp(workspace, tmp_path):
    images(workspace, "sdss", (SDSS, 10.0, 0.0, 14.5))
    told = cli("-w", workspace.path, "ingest", "sdss", sdss_csv(tmp_path / "s.csv", sdss_row(SDSS, 10.01, 0)))
    assert told.code == 0 and "1 stamp of these is kept out of training and scoring (quality misplaced)" in told.err
    assert cli("-w", workspace.path, "check").code == 0


def test_the_label_that_came_with_a_misplaced_image_is_taken_back_and_a_mended_position_lets_the_image_in(
    workspace, tmp_path
):
    folder = write_images(tmp_path / "wrong", ["a.png"])
    header = ["object_id", "file", "ra", "dec", "label"]
    table = write_csv(tmp_path / "wrong.csv", header, [SDSS, "a.png", 50, 1, "spiral"])
    words = ("-w", workspace.path, "ingest", "images", folder, "--survey", "sdss", "--table")
    assert cli(*words, table).code == 0
    assert cli("-w", workspace.path, "ingest", "sdss", sdss_csv(tmp_path / "s.csv", sdss_row(SDSS, 10, 1))).code == 0
    assert ask(workspace, "SELECT label, quality FROM catalog") == [(None, "misplaced")]
    cli(*words, table)  # the same again: refused for its place
    assert ask(workspace, "SELECT label, quality FROM catalog") == [(None, "misplaced")]
    mended = write_csv(tmp_path / "mended.csv", header, [SDSS, "a.png", 10, 1, "spiral"])
    assert cli(*words, mended).code == 0
    assert ask(workspace, "SELECT label, quality FROM catalog") == [("spiral", "ok")]
    assert cli("-w", workspace.path, "check").code == 0


def test_an_image_that_became_another_id_s_is_its_own_object_again_once_the_catalogue_names_it(workspace, tmp_path):
    images(workspace, "sdss", (SDSS, 10.0, -5.0, 14.5))
    ingest_survey(workspace, sdss_csv(tmp_path / "1.csv", sdss_row(SDSS + 2, 10, -5 + 0.3 / 3600)), "sdss")
    assert find_aliases(workspace).identified == 1
    assert ask(workspace, "SELECT object_id FROM catalog") == [(SDSS + 2,)]
    second = sdss_csv(tmp_path / "2.csv", sdss_row(SDSS, 10.0, -5.0))
    report = ingest_survey(workspace, second, "sdss")
    assert (report.objects_added, report.taken_over, report.rows_added) == (0, 1, 1)
    found = "SELECT object_id, origin FROM standing_objects_at() ORDER BY 1"
    assert ask(workspace, found) == [(SDSS, "sdss"), (SDSS + 2, "sdss")]
    assert ask(workspace, "SELECT object_id, mag_g FROM catalog ORDER BY 1") == [(SDSS, 17.5), (SDSS + 2, 17.5)]
    assert ingest_survey(workspace, second, "sdss").unchanged == 1
    assert ask(workspace, "SELECT count(*) FROM objects") == [(3,)]
    assert cli("-w", workspace.path, "check").code == 0
    with workspace.recording("a row twice") as recording:
        recording.con.execute("INSERT INTO objects SELECT * FROM objects WHERE origin = 'sdss'")
    assert f"objects_unique: sdss {SDSS} has 2 current rows" in cli("-w", workspace.path, "check").err


# --- columns to keep


@pytest.mark.parametrize("file", ["des.fits", "des.vot", "des.parquet", "des.csv"])
def test_other_columns_are_kept_with_their_unit_and_described_after_an_upgrade(workspace, file):
    table = des_table(EBV_SFD98=np.array([0.5, 0.25, 0.125], "f4"), Code=np.array([2**53 + 1, 5, 6]))
    table["EBV_SFD98"].unit = "mag"
    report = ingest_des(workspace, table, file, keep=["ebv_sfd98", "CODE", "mag_auto_g"])
    assert report.objects_added == 3
    assert sorted(ask(workspace, "SELECT ebv_sfd98, code FROM des_sources")) == [
        (0.125, 6),
        (0.25, 5),
        (0.5, 2**53 + 1),
    ]
    with workspace.recording("apply the views anew") as recording:
        apply_views(recording.con)
    with workspace.reading() as con:
        for name in ("des_coadd", "des_sources"):
            column = {column.name: column for column in data_dictionary(con, name)}["ebv_sfd98"]
            assert column.description == "Kept from the archive's file: EBV_SFD98"
            assert column.unit == ("" if file == "des.csv" else "mag")
    assert ingest_des(workspace, table, file, keep=["ebv_sfd98", "CODE"]).unchanged == 3
    assert ingest_des(workspace, table, file).unchanged == 3


def test_a_column_kept_later_is_empty_until_an_update(workspace):
    table = des_table(EXTRA=[1.5, 2.5, 3.5])
    ingest_des(workspace, table)
    assert ingest_des(workspace, table, keep=["EXTRA"]).differing == 3
    assert ask(workspace, "SELECT count(extra) FROM des_sources") == [(0,)]
    assert ingest_des(workspace, table, keep=["EXTRA"], update=True).differing == 3
    assert ask(workspace, "SELECT sum(extra), count(tilename) FROM des_sources") == [(7.5, 3)]


def test_texts_of_csv_are_kept_as_numbers_only_where_all_are(workspace, tmp_path):
    header = ["COADD_OBJECT_ID", "RA", "DEC", "whole", "real", "code", "empty"]
    file = write_csv(tmp_path / "d.csv", header, [1, 1, 1, 2**53 + 1, 5, "007", ""], [2, 1, 2, "", 2.5, "12", "nan"])
    ingest_survey(workspace, file, "des", keep=header[3:])
    assert ask(workspace, "SELECT whole, real, code, empty FROM des_sources ORDER BY object_id") == [
        (2**53 + 1, 5.0, "007", None), (None, 2.5, "12", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "words"),
    [
        *((name, "another meaning") for name in ("run", "round", "survey", "object_id", "ra")),
        ("xwin_image", "has no such column"),
        ("a b", "letters, digits and _"),
        ('x"; DROP TABLE objects; --', "letters, digits"),
        ("none", "has no such column"),
    ],
)
def test_a_column_that_cannot_be_kept_is_refused(workspace, name, words):
    table = des_table(run=[1, 2, 3], round=[1, 2, 3], survey=[1, 2, 3], object_id=[1, 2, 3])
    with pytest.raises(InputError, match=words):
        ingest_des(workspace, table, keep=[name])
    assert ask(workspace, "SELECT count(*) FROM objects") == [(0,)]


def test_columns_are_kept_as_they_stand_whatever_they_are_called(workspace):
    names = ["cell_id", "cell_ra", "cell_dec", "id", "file", "row", "cell_flags_g"]
    table = des_table(**{name: [k, 10 + k, 20 + k] for k, name in enumerate(names)})
    ingest_des(workspace, table, keep=names)
    rows = ask(workspace, f"SELECT {', '.join(names)} FROM des_sources ORDER BY mag_g")
    assert rows == [tuple(range(7)), tuple(range(10, 17)), tuple(range(20, 27))]


def test_a_name_by_which_the_archive_s_table_means_another_column_is_refused(workspace, tmp_path):
    file = write_csv(tmp_path / "s.csv", ["objid", "ra", "dec", "run", "imaging_run"], [SDSS, 1, 1, 745, 3])
    with pytest.raises(InputError, match=r"--keep imaging_run: .*another meaning \(SDSS PhotoObj's run\); rename"):
        ingest_survey(workspace, file, "sdss", keep=["imaging_run"])
    assert ingest_survey(workspace, file, "sdss", keep=["run"]).objects_added == 1


# --- the command line


def test_the_command_line_tells_what_came_in_and_what_did_not(workspace, tmp_path):
    file = write(des_table((1, 2, 3, 2), MAG_AUTO_G=[99.0, 17, 18, 19], EBV=[1.0, 2, 3, 4]), tmp_path / "des.fits")
    done = cli("-w", workspace.path, "ingest", "des", file, "--keep", "EBV, FLAGS_G")
    assert done.code == 0
    assert "4 rows read: 3 objects added to des, measurements of 3 objects added, 0 were there already." in done.out
    assert "Values that mean 'not measured' became NULL: 1 MAG_AUTO_G." in done.out
    assert "The file lacks FLAGS_R" in done.out
    assert "1 row could not be used:" in done.err and "row 4 (object_id 2)" in done.err
    changed = write(des_table((1, 2, 3), MAG_AUTO_R=np.array([5, 6, 7], "f4")), tmp_path / "des2.fits")
    done = cli("-w", workspace.path, "ingest", "des", changed)
    assert "3 objects differ from the catalogue, which keeps its values (see --update):" in done.out
    assert "1: mag_r 2.1 in the catalogue, 5.0 in the file" in done.out
    assert "3 objects were updated:" in cli("-w", workspace.path, "ingest", "des", changed, "--update").out


def test_a_file_of_which_every_row_is_rejected_is_not_said_to_change_nothing(workspace, tmp_path):
    file = write(des_table(DEC=[99.0, 98, 97]), tmp_path / "des.fits")
    told = cli("-w", workspace.path, "ingest", "des", file).out
    assert "No row could be used." in told and "Nothing has changed" not in told


@pytest.mark.parametrize("kind", ARCHIVES)
def test_help_has_an_example(kind):
    done = cli("ingest", kind, "--help")
    assert done.code == 0 and f"Example: catbuilder ingest {kind} " in done.out and "--update" in done.out


@functools.cache
def macros() -> duckdb.DuckDBPyConnection:
    """A connection that knows what the cells of text tables mean."""
    con = duckdb.connect()
    for name in ("ingest/cell_macros", "ingest/position_macros"):
        for statement in con.extract_statements(query(name)):
            con.execute(statement)
    return con
