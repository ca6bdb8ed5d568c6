"""A FITS file that a colleague can trust: it opens in astropy without a warning, and every value is the catalogue's."""

import shutil
import subprocess
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.new_workspace import create_workspace
from support.workspaces import (
    COMMAND,
    RECIPE,
    SIZE,
    add_events,
    add_objects,
    ask,
    cli,
    failed,
    label_event,
    peak_of,
    surveyed,
)

from catbuilder.catalogue.schema import data_dictionary
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError, QueryError, RoundError
from catbuilder.core.version import __version__
from catbuilder.exports.export import export as export_catalogue
from catbuilder.exports.fits import _encode

ORDERED = "SELECT * FROM catalog ORDER BY survey, object_id"


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Two closed rounds; read only."""
    return surveyed(tmp_path_factory.mktemp("fits") / "ws")


@pytest.fixture
def workspace(survey, tmp_path):
    """A copy of it, to be changed."""
    return Workspace.open(shutil.copytree(survey.path, tmp_path / "ws"))


def export(workspace, path, **options):
    """Export with every warning an error, open the file with its checksums checked, and give its HDUs."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export_catalogue(workspace, path, **options)
        hdus = fits.open(path, checksum=True, memmap=False)
        hdus.verify("exception")
        for hdu in hdus:
            assert hdu.verify_checksum() == 1 and hdu.verify_datasum() == 1
    return hdus


def expected(value, form):
    """What FITS keeps of a value of the catalogue."""
    if value is None:
        return {"K": -(2**63), "J": -(2**31), "L": False, "D": np.nan, "E": np.nan}.get(form, "")
    return np.float32(value) if form == "E" else value


def assert_equals_catalogue(hdu, rows):
    assert len(hdu.data) == len(rows)
    for i, column in enumerate(hdu.columns):
        values = hdu.data[column.name].tolist()
        for value, row in zip(values, rows, strict=True):
            wanted = expected(row[i], column.format)
            same = value == wanted or (value != value and wanted != wanted)
            assert same, f"{column.name}: {value!r}, not {wanted!r}"


def test_the_columns_are_those_of_the_catalogue_with_units_ucds_and_descriptions(survey, tmp_path):
    hdu = export(survey, tmp_path / "out.fits")["CATALOG"]
    with survey.reading() as con:
        described = data_dictionary(con, "catalog")
    assert hdu.columns.names == [column.name for column in described]
    for i, column in enumerate(described, start=1):
        assert hdu.header.get(f"TUNIT{i}", "") == column.unit
        assert hdu.header[f"TUCD{i}"] == column.ucd
        assert hdu.header[f"TCOMM{i}"] == column.description
    assert hdu.header["RADESYS"] == "ICRS"


def test_there_is_one_row_an_object_and_every_value_is_the_catalogues(survey, tmp_path):
    hdu = export(survey, tmp_path / "out.fits")["CATALOG"]
    rows = ask(survey, ORDERED)
    assert len({row[:2] for row in rows}) == len(rows) == 13
    assert_equals_catalogue(hdu, rows)
    assert 2**53 + 1 in hdu.data["object_id"].tolist()


def test_what_is_missing_reads_as_masked_in_an_astropy_table(survey, tmp_path):
    export(survey, tmp_path / "out.fits")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = Table.read(tmp_path / "out.fits", hdu="CATALOG")
    eleven = table[(table["object_id"] == 11)][0]
    assert np.ma.is_masked(eleven["scored_round"]) and np.ma.is_masked(eleven["model"])
    assert np.isnan(float(table["ra"][table["survey"] == "sdss"].filled(np.nan)[0]))
    assert table["ra"].unit == "deg" and not any(table["in_training"][table["survey"] == "sdss"])


def test_the_primary_header_tells_where_the_labels_come_from(survey, tmp_path):
    header = export(survey, tmp_path / "out.fits")[0].header
    told = {
        name: header[name]
        for name in ("ORIGIN", "CATBVERS", "RADESYS", "CLASSES", "ROUND", "RECIPE", "SEED", "CONFCAL")
    }
    assert told == {
        "ORIGIN": "catbuilder", "CATBVERS": __version__, "RADESYS": "ICRS", "CLASSES": "elliptical,spiral",
        "ROUND": 2, "RECIPE": "toy", "SEED": 7, "CONFCAL": "none: no calibration galaxies",
    }  # fmt: skip
    assert (header["RECIPSHA"], header["MODELSHA"], header["RANKS"]) == (RECIPE.sha256, "2" * 64, 1)
    text = header.tostring()
    assert "COADD_OBJECT_ID" in text and "DR1" in text and "objID" in text and "DR7" in text


def test_as_of_a_round_gives_the_labels_and_the_model_of_that_round(survey, tmp_path):
    hdus = export(survey, tmp_path / "out.fits", at=1)
    assert_equals_catalogue(hdus[1], ask(survey, "SELECT * FROM catalog_at(1) ORDER BY survey, object_id"))
    assert (hdus[0].header["ROUND"], hdus[0].header["MODELSHA"]) == (1, "1" * 64)
    for number in (0, 3, -1):
        with pytest.raises(RoundError, match="there is no round"):
            export_catalogue(survey, tmp_path / "no.fits", at=number)


def test_a_condition_keeps_the_rows_it_names_and_is_written_down(survey, tmp_path):
    where = "label = 'spiral' AND confidence IS NULL -- people's"
    hdus = export(survey, tmp_path / "out.fits", where=where)
    assert hdus[1].data["object_id"].tolist() == [3, 4] and hdus[0].header["WHERE"] == where


@pytest.mark.parametrize(
    "where", ["name = 'é☉'", "ra < 12\n\tAND dec < 0", " OR ".join(f"object_id = {n}" for n in range(40))]
)
def test_a_condition_in_any_letters_and_of_any_length_can_be_written_down(survey, tmp_path, where):
    header = export(survey, tmp_path / "out.fits", where=where)[0].header
    assert header["WHERE"] == where.replace("\n", " ").replace("\t", " ").encode("ascii", "backslashreplace").decode()


def test_an_empty_result_is_a_table_without_rows(survey, tmp_path):
    hdu = export(survey, tmp_path / "out.fits", where="false")["CATALOG"]
    assert len(hdu.data) == 0 and len(hdu.columns) > 20


def test_an_empty_catalogue_before_any_round_is_exported_too(tmp_path):
    hdus = export(create_workspace(tmp_path / "ws", stamp_size=SIZE), tmp_path / "out.fits")
    assert len(hdus[1].data) == 0 and hdus[0].header["ROUND"] == 0


@pytest.mark.parametrize(
    "where",
    [
        "1=1); DROP TABLE labels; --",
        "1=1; DELETE FROM labels",
        "no_such_column = 1",
        "ra <",
        ")",
        "object_id IN (SELECT 1 FROM read_csv('/etc/passwd'))",
        "object_id IN (SELECT 1 FROM read_text('/etc/passwd'))",
        "object_id IN (SELECT 1 FROM '/etc/passwd')",
        "object_id IN (SELECT 1 FROM glob('/*'))",
        "1=1); ATTACH '/tmp/x.db'; --",
        "1=1); SET enable_external_access = true; --",
    ],
)
def test_a_condition_can_neither_write_nor_read_files(survey, tmp_path, where):
    before = survey.catalog_file.read_bytes()
    done = cli("-w", survey.path, "export", tmp_path / "out.fits", "--where", where)
    failed(done, "--where")
    assert not list(tmp_path.iterdir()) and survey.catalog_file.read_bytes() == before


def test_a_place_or_a_format_that_cannot_be_written_is_refused(survey, tmp_path):
    for name in ("out.txt", "out", "out.fits.gz"):
        with pytest.raises(InputError, match="is not that of a format"):
            export_catalogue(survey, tmp_path / name)
    with pytest.raises(InputError, match="there is no folder"):
        export_catalogue(survey, tmp_path / "none" / "out.fits")
    failed(cli("-w", survey.path, "export", tmp_path / "none" / "out.fits"), "there is no folder")
    assert not list(tmp_path.iterdir())


def test_a_failed_export_leaves_the_file_of_before(survey, tmp_path):
    path = tmp_path / "out.fits"
    export(survey, path)
    before = path.read_bytes()
    with pytest.raises(QueryError):
        export_catalogue(survey, path, where="nonsense")
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_text_that_is_not_ascii_and_empty_text_keep_the_table_whole(workspace, tmp_path):
    with workspace.recording("names") as recording:
        add_objects(recording, "des", [100, 101, 102], name=["Ångström ☉", "", "x" * 300])
    hdu = export(workspace, tmp_path / "out.fits", where="object_id >= 100 AND survey = 'des'")["CATALOG"]
    assert hdu.data["name"].tolist() == ["?ngstr?m ?", "", "x" * 300]


def test_a_survey_or_a_recipe_of_any_name_can_be_written_down(workspace, tmp_path):
    settings_file = workspace.path / "catbuilder.toml"
    text = settings_file.read_text() + '\n[surveys.%s]\nrelease = "DR 4.1 é, with a release name that goes on and on"\n'
    settings_file.write_text(text % ("a" * 31))
    with workspace.recording("recipe") as recording:
        recording.con.execute("UPDATE rounds SET recipe = 'Versuch für später'")
    header = export(Workspace.open(workspace.path), tmp_path / "out.fits")[0].header
    assert "goes on and on" in "".join(str(value) for value in header.values())
    assert header["RECIPE"].startswith("Versuch f")


def test_the_same_catalogue_gives_the_same_table(survey, tmp_path):
    first, second = (export(survey, tmp_path / f"{name}.fits")[1] for name in "ab")
    assert first.header == second.header and first.data.tobytes() == second.data.tobytes()


# --- checksums


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ids=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20, unique=True),
    names=st.lists(st.one_of(st.none(), st.text(max_size=9)), min_size=20, max_size=20),
    magnitudes=st.lists(st.one_of(st.none(), st.floats(width=32)), min_size=20, max_size=20),
)
def test_whatever_the_values_the_checksum_is_the_one_that_astropy_computes(survey, tmp_path, ids, names, magnitudes):
    """astropy recomputes DATASUM and CHECKSUM by its own code when it verifies."""
    if not (tmp_path / "any").exists():
        shutil.copytree(survey.path, tmp_path / "any")
    workspace = Workspace.open(tmp_path / "any")
    with workspace.recording("any") as recording:
        recording.con.execute("DELETE FROM objects")
        add_objects(recording, "des", ids, name=names[: len(ids)], mag_g=magnitudes[: len(ids)])
    hdu = export(workspace, tmp_path / "out.fits")["CATALOG"]
    assert sorted(hdu.data["object_id"].tolist()) == sorted(ids)


@given(st.integers(0, 2**32 - 1))
def test_the_encoded_checksum_is_the_one_of_the_standard(value):
    hdu = fits.PrimaryHDU()
    assert _encode(value) == hdu._char_encode(value)


# --- scale

ROWS = 200_000


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    workspace = create_workspace(tmp_path_factory.mktemp("large") / "ws", stamp_size=SIZE)
    with workspace.recording("large") as recording:
        recording.con.execute(
            "INSERT INTO objects BY NAME SELECT 'des' AS survey, (range * 7919) % 1000000007 AS object_id, "
            "range / 1000.0 AS ra, -range / 3000.0 AS dec, 18 AS mag_r, 1 AS round, 1 AS run FROM range(?)",
            [ROWS],
        )
        add_events(recording, *(label_event("des", n * 7919, "spiral") for n in range(10)))
    return workspace


def test_a_large_table_is_streamed_in_order_with_bounded_memory(large, tmp_path):
    path = tmp_path / "out.fits"
    done, base = peak_of("-w", large.path, "export", path, "--where", "false")
    assert done.code == 0
    done, whole = peak_of("-w", large.path, "export", path)
    assert done.code == 0 and whole - base < 400, f"{base:.0f} MB without rows, {whole:.0f} MB with {ROWS}"
    with fits.open(path, checksum=True) as hdus, warnings.catch_warnings():
        warnings.simplefilter("error")
        hdus.verify("exception")
        ids = np.asarray(hdus[1].data["object_id"])
        assert len(ids) == ROWS and (np.diff(ids) > 0).all()
        assert (hdus[1].data["label"] == "spiral").sum() == 10


def test_an_export_that_is_killed_leaves_nothing_under_the_name(large, tmp_path):
    path = tmp_path / "out.fits"
    child = subprocess.Popen([*COMMAND, "-w", str(large.path), "export", str(path)], stdout=subprocess.DEVNULL)
    while not list(tmp_path.glob(".out.*")) and child.poll() is None:
        pass
    child.kill()
    assert child.wait() == -9 or path.exists()
    assert path.exists() == (child.returncode == 0)
    assert cli("-w", large.path, "export", path, "--where", "object_id < 100000").code == 0
