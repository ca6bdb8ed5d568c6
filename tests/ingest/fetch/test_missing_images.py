"""`catbuilder cutouts`: the objects that want an image, as a table that the DES cut-out service takes."""

import csv

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.new_workspace import create_workspace
from support.workspaces import add_objects, cli, failed, write_csv, write_images

from catbuilder.core.settings import StampWidths
from catbuilder.ingest.fetch.missing_images import cutout_width, objects_without_image

IDS = [61407409, 2**60 + 1, 2**60 + 2, 2**60 + 3, 2**60 + 4]
RA = [0.000000123, 45.12345678, 90.0, 359.99999999, None]
DEC = [-52.1, -0.00000001, 3.25, -89.9, None]
RADIUS = [8.0, None, 0.1, 1000.0, 5.0]


@pytest.fixture
def workspace(tmp_path):
    """Five objects of DES without an image, one of them without a position, and one with an image."""
    made = create_workspace(tmp_path / "ws")
    with made.recording("objects") as recording:
        recording.con.register("made", pa.table({"object_id": IDS, "ra": RA, "dec": DEC, "radius_arcsec": RADIUS}))
        recording.con.execute(
            "INSERT INTO objects BY NAME SELECT *, 'des' AS survey, 'des' AS origin, ? AS round, ? AS run FROM made",
            [recording.round, recording.run],
        )
        add_objects(recording, "des", [7], ra=1.0, dec=2.0)
    return made


def listed(file):
    with open(file, encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_the_table_has_the_columns_of_a_job_with_ids_and_positions_written_out(workspace, tmp_path):
    done = cli("-w", workspace.path, "cutouts", "--list", tmp_path / "job.csv")
    assert done.code == 0 and "4 objects without an image listed in" in done.out and "ingest tiles" in done.out
    rows = listed(tmp_path / "job.csv")
    assert list(rows[0]) == ["RA", "DEC", "XSIZE", "YSIZE", "COADD_OBJECT_ID"]
    assert [row["COADD_OBJECT_ID"] for row in rows] == [str(number) for number in IDS[:4]]
    assert [row["RA"] for row in rows] == ["0.00000012", "45.12345678", "90.00000000", "359.99999999"]
    assert [row["DEC"] for row in rows] == ["-52.10000000", "-0.00000001", "3.25000000", "-89.90000000"]
    # 2.25 Kron radii, 22 arcsec where there is none, and the ends of 10 and 120 arcsec; in arcmin
    assert [row["XSIZE"] for row in rows] == ["0.3000", "0.3667", "0.1667", "2.0000"]
    assert all(row["YSIZE"] == row["XSIZE"] for row in rows)


@pytest.mark.parametrize(
    ("by", "columns"),
    [("id", ["XSIZE", "YSIZE", "COADD_OBJECT_ID"]), ("position", ["RA", "DEC", "XSIZE", "YSIZE"])],
)
def test_a_row_names_its_object_in_one_way_where_the_service_wants_that(workspace, tmp_path, by, columns):
    assert cli("-w", workspace.path, "cutouts", "--list", tmp_path / "job.csv", "--by", by).code == 0
    assert list(listed(tmp_path / "job.csv")[0]) == columns


def test_size_and_condition_are_the_users(workspace, tmp_path):
    done = cli("-w", workspace.path, "cutouts", "--list", tmp_path / "a.csv", "--size", 30, "--where", "ra < 90")
    assert "2 objects" in done.out
    assert [row["XSIZE"] for row in listed(tmp_path / "a.csv")] == ["0.5000", "0.5000"]


def test_an_object_whose_image_could_not_be_read_is_listed_and_one_with_an_image_is_not(workspace, tmp_path):
    folder = write_images(tmp_path / "images", ["a.png"])
    (folder / "b.png").write_bytes(b"no image")
    table = write_csv(folder / "t.csv", ["object_id", "file"], [IDS[0], "a.png"], [IDS[1], "b.png"])
    cli("-w", workspace.path, "ingest", "images", folder, "--table", table, "--survey", "des")
    assert [target.object_id for target in objects_without_image(workspace, "des")] == IDS[1:4]


def test_with_nothing_to_list_it_says_so_and_writes_nothing(workspace, tmp_path):
    done = cli("-w", workspace.path, "cutouts", "--list", tmp_path / "job.csv", "--where", "false")
    assert done.code == 0 and done.out.startswith("Nothing to list") and not (tmp_path / "job.csv").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--survey", "sdss"), "--by position"),
        (("--survey", "hubble"), "unknown survey 'hubble'"),
        (("--where", "colour = 'red'"), "--where"),
    ],
)
def test_what_cannot_be_listed_is_told(workspace, tmp_path, words, said):
    failed(cli("-w", workspace.path, "cutouts", "--list", tmp_path / "job.csv", *words), said)
    assert not (tmp_path / "job.csv").exists()


def test_another_survey_can_be_listed_by_position(workspace, tmp_path):
    done = cli("-w", workspace.path, "cutouts", "--list", tmp_path / "j.csv", "--survey", "sdss", "--by", "position")
    assert done.code == 0 and done.out.startswith("Nothing to list: every sdss object")


def test_a_folder_that_is_not_there_is_told(workspace, tmp_path):
    failed(cli("-w", workspace.path, "cutouts", "--list", tmp_path / "no" / "job.csv"), "there is no folder")


def test_a_folder_in_the_place_of_the_file_is_told(workspace, tmp_path):
    failed(cli("-w", workspace.path, "cutouts", "--list", tmp_path), "is a folder; give the name of a file")


def test_an_object_known_by_a_name_is_left_out_where_the_service_wants_its_number(workspace, tmp_path):
    with workspace.recording("named") as recording:
        recording.con.execute("UPDATE objects SET name = 'NGC 1300' WHERE object_id = ?", [IDS[1]])
    done = cli("-w", workspace.path, "cutouts", "--list", tmp_path / "a.csv")
    assert (
        done.code == 0 and "Left out: 1 object with a text id" in done.err and "3 objects without an image" in done.out
    )
    assert [row["COADD_OBJECT_ID"] for row in listed(tmp_path / "a.csv")] == [str(IDS[n]) for n in (0, 2, 3)]
    by_position = cli("-w", workspace.path, "cutouts", "--list", tmp_path / "b.csv", "--by", "position")
    assert "4 objects without" in by_position.out and not by_position.err and len(listed(tmp_path / "b.csv")) == 4

    alone = cli("-w", workspace.path, "cutouts", "--list", tmp_path / "c.csv", "--where", f"object_id = {IDS[1]}")
    assert alone.code == 1 and not alone.out and not (tmp_path / "c.csv").exists()


@given(radius=st.none() | st.floats())
def test_whatever_the_radius_the_width_is_one_that_can_be_asked_for(radius):
    limits = StampWidths()
    assert limits.min_arcsec <= cutout_width(limits, "des", radius) <= limits.max_arcsec
