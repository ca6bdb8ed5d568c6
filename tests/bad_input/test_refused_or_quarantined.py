"""Bad input is refused or set aside with a reason, the good rows beside it load, and nothing is lost silently."""

import json
import os
import shutil
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.new_workspace import create_workspace
from support.workspaces import (
    COMMAND,
    SIZE,
    add_objects,
    ask,
    cli,
    failed,
    galaxy,
    process,
    surveyed,
    write_csv,
    write_images,
)

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import CatalogueDamaged, InputError, WorkspaceBusy
from catbuilder.core.stamps import StampReader, write_shard
from catbuilder.core.user_csv import BadValue, CsvColumn, parse_object_id, read_table
from catbuilder.ingest.images import ingest_images

HEADER = ("object_id", "file")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return create_workspace(tmp_path_factory.mktemp("empty") / "ws", stamp_size=SIZE)


@pytest.fixture
def workspace(template, tmp_path):
    return Workspace.open(shutil.copytree(template.path, tmp_path / "ws"))


@pytest.fixture
def images(tmp_path):
    return write_images(tmp_path / "images", ("a.png", "b.png", "c.jpg"))


@pytest.fixture
def ingest(workspace, images, tmp_path):
    """Ingest rows of a table (by default: id and file) into the survey des."""

    def run(*rows, header=HEADER, options=()):
        table = write_csv(tmp_path / "t.csv", header, *rows)
        return cli("-w", workspace.path, "ingest", "images", images, "--table", table, "--survey", "des", *options)

    return run


def loaded(workspace):
    return [row[0] for row in ask(workspace, "SELECT object_id FROM objects ORDER BY ALL")]


def rejections(workspace):
    return ask(workspace, "SELECT row, object_id, reason FROM rejections ORDER BY ALL")


def assert_rejected(done, workspace, row, *words, good=(1,)):
    """One row is set aside with its file, number and reason; the good ones are in; the command succeeds."""
    assert done.code == 0, done
    lines = done.err.splitlines()
    assert lines[0] == "1 row could not be used:" and len(lines) == 2, done.err
    assert f"t.csv, row {row} (object_id " in lines[1] or f"t.csv, row {row}: object_id is empty" in lines[1]
    for word in words:
        assert word in lines[1], f"{word!r} is not in: {lines[1]}"
    assert loaded(workspace) == list(good)
    ((recorded, _, reason),) = rejections(workspace)
    assert recorded == row and reason in lines[1]


# --- tables as a whole


def test_a_table_without_object_id_is_refused_with_the_columns_it_has(workspace, ingest):
    error = failed(ingest((1, "a.png"), header=("id", "file")), "t.csv", "no column 'object_id'", "it has id, file")
    assert "rename" in error and loaded(workspace) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"object_id,file\n", "a header but no rows"),
        (b"object_id,file\n\n \n", "a header but no rows"),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe" * 20, "not a CSV text file"),
        ("object_id,file\n1,\xe9.png\n".encode("latin-1"), "not a CSV text file"),
        (b"object_id,file,file\n1,a.png,b.png\n", "the column 'file' twice"),
        (b"object_id,File,file\n1,a.png,b.png\n", "the columns 'File' and 'file', which differ by case alone"),
        (b"object_id,file,,\n1,a.png,,\n", "2 columns without a name"),
        (b"object_id;file\n1;a.png\n", "semicolons between its cells; save it with commas"),
        (b"object_id\tfile\n1\ta.png\n", "tabs between its cells; save it with commas"),
        ("object_id,file\n1,a.png\n".encode("utf-16"), "UTF-16 text and not a CSV text file"),
        ("object_id,file\n1,a.png\n".encode("utf-16-le"), "in row 1, the header, it has zero bytes, as UTF-16 text"),
        ("object_id,file,n\n1,a.png,\n2,b.png,\xe9\n".encode("latin-1"), "row 3 has the byte 0xe9, as text in Latin-1"),
        (b"PK\x03\x04" + b"x" * 50, "a workbook of a spreadsheet"),
        (b'object_id,"file\n1,a.png\n', "in row 1, the header, a quoted cell does not end"),
    ],
)
def test_a_file_that_is_no_table_is_refused(workspace, images, tmp_path, content, words):
    table = tmp_path / "t.csv"
    table.write_bytes(content)
    failed(cli("-w", workspace.path, "ingest", "images", images, "--table", table, "--survey", "des"), "t.csv", words)
    assert loaded(workspace) == []


def test_a_cell_of_any_length_costs_its_own_row_alone(workspace, images, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text(f"object_id,file\n1,{'x' * 200_000}\n2,a.png\n")
    done = cli("-w", workspace.path, "ingest", "images", images, "--table", table, "--survey", "des")
    assert done.code == 0 and "row 2 (object_id 1)" in done.err and loaded(workspace) == [2]


def test_a_table_that_is_missing_or_a_folder_or_below_a_file_is_refused(workspace, images, tmp_path):
    for table in (tmp_path / "none.csv", images, images / "a.png" / "t.csv"):
        failed(cli("-w", workspace.path, "ingest", "images", images, "--table", table, "--survey", "des"), str(table))


def test_byte_order_mark_crlf_quotes_spaces_and_blank_lines_are_read(workspace, images, tmp_path):
    table = tmp_path / "t.csv"
    table.write_bytes(b'\xef\xbb\xbf object_id ,"file"\r\n"1", a.png \r\n\r\n2,"b.png"\r\n')
    done = cli("-w", workspace.path, "ingest", "images", images, "--table", table, "--survey", "des")
    assert (done.code, done.err) == (0, "") and loaded(workspace) == [1, 2]


def test_a_row_is_named_by_the_line_it_begins_on(ingest, workspace):
    done = ingest((1, "a.png", "two\nlines"), (-5, "b.png", "x"), header=(*HEADER, "comment"))
    assert_rejected(done, workspace, 4, "-5 is not a whole positive number")


def test_a_row_with_too_few_or_too_many_cells_is_set_aside(ingest, workspace):
    assert_rejected(ingest((1, "a.png"), (2,)), workspace, 3, "1 cell where the header has 2")
    done = ingest((3, "b.png"), (4, "c.jpg", "x"))
    assert "3 cells where the header has 2" in done.err and loaded(workspace) == [1, 3]


# --- ids


def test_an_id_given_twice_loads_once(ingest, workspace):
    done = ingest((1, "a.png"), (1, "b.png"))
    assert_rejected(done, workspace, 3, "same object_id is already in row 2")


def test_an_id_with_leading_zeros_is_the_same_id(ingest, workspace):
    assert_rejected(ingest((1, "a.png"), ("001", "b.png")), workspace, 3, "is already in row 2")


@pytest.mark.parametrize(
    ("given_id", "reason"),
    [
        ("", "object_id is empty"),
        (2**63, "does not fit 64 bits"),
        ("1.5", "not a whole positive number"),
        ("1.0", "not a whole positive number"),
        ("-1", "not a whole positive number"),
        ("5.87724E+17", "not a whole positive number"),
        ("-5.87e17", "not a whole positive number"),
        ("nan", "not a whole positive number"),
    ],
)
def test_an_id_that_is_no_number_of_the_survey_is_set_aside(ingest, workspace, given_id, reason):
    assert_rejected(ingest((1, "a.png"), (given_id, "b.png")), workspace, 3, reason)


def test_the_largest_id_is_kept_to_the_last_digit(ingest, workspace):
    assert ingest((2**63 - 1, "a.png"), (2**53 + 1, "b.png")).code == 0
    assert loaded(workspace) == [2**53 + 1, 2**63 - 1]


def test_a_text_id_becomes_the_same_number_everywhere_and_keeps_its_name(ingest, workspace):
    assert ingest(("DES J0102-4915", "a.png")).code == 0
    ((number, name),) = ask(workspace, "SELECT object_id, name FROM objects")
    assert (number, name) == (5578277713909277597, "DES J0102-4915")
    told = cli("-w", workspace.path, "why", "DES J0102-4915")
    assert told.code == 0 and "DES J0102-4915" in told.out


@given(st.text(min_size=1, max_size=30))
def test_every_text_is_an_id_of_63_bits_or_is_refused(text):
    try:
        number, name = parse_object_id(text)
    except BadValue as error:
        assert "object_id" in str(error)
    else:
        assert 0 <= number < 2**63
        assert (name is None and number == int(text)) or name == text


# --- cells


@pytest.mark.parametrize(
    ("ra", "dec", "reason"),
    [
        (400, 0, "ra is 400, outside -180 to 360 degrees"),
        (-181, 0, "ra is -181, outside"),
        (10, 91, "dec is 91, outside -90 to 90"),
        (10, "", "only one of ra and dec"),
        ("", -5, "only one of ra and dec"),
        (10, "nan", "only one of ra and dec"),
        ("inf", 0, "ra is inf, outside"),
        ("-nan", 0, "ra is -nan, outside"),
        ("01:62:03", 0, "ra is '01:62:03', neither degrees nor hours, minutes and seconds"),
    ],
)
def test_a_bad_position_is_set_aside(ingest, workspace, ra, dec, reason):
    done = ingest((1, "a.png", 10, -5), (2, "b.png", ra, dec), header=(*HEADER, "ra", "dec"))
    assert_rejected(done, workspace, 3, reason)


def test_a_position_that_is_missing_by_name_is_unknown(ingest, workspace):
    done = ingest((1, "a.png", "nan", "NaN"), (2, "b.png", "", "null"), header=(*HEADER, "ra", "dec"))
    assert (done.code, done.err) == (0, "")
    assert ask(workspace, "SELECT ra, dec, healpix FROM objects") == [(None, None, None)] * 2


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("label", "merger", "unknown class 'merger'; this workspace has elliptical, spiral"),
        ("label", "Spiral", "unknown class 'Spiral'"),
        ("split", "training", "unknown split 'training'; use train, validation, calibration, pool"),
        ("domain", "galaxy", "unknown domain 'galaxy'"),
        ("mag_r", "bright", "mag_r is 'bright', which is not a number"),
        ("mag_r", "99", "mag_r is 99, outside"),
    ],
)
def test_an_unknown_word_in_a_cell_is_set_aside(ingest, workspace, column, value, reason):
    done = ingest((1, "a.png", ""), (2, "b.png", value), header=(*HEADER, column))
    assert_rejected(done, workspace, 3, reason)


# --- images


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("../secret.png", "leads out of"),
        ("x/../../secret.png", "leads out of"),
        ("link.png", "leads out of"),
        ("none.png", "there is no file 'none.png'"),
        (".", "there is no file"),
        ("", "file is empty"),
        ("a\0.png", "it has zero bytes"),
        ("a" * 5000, "is not a valid file name"),
        ("circle.png", "circle.png"),
        ("pipe.png", "there is no file"),
    ],
)
def test_a_path_that_leads_nowhere_or_out_of_the_folder_is_set_aside(ingest, workspace, images, file, reason):
    write_images(images.parent, ("secret.png",))
    (images / "link.png").symlink_to(images.parent / "secret.png")
    (images / "circle.png").symlink_to(images / "circle.png")
    os.mkfifo(images / "pipe.png")
    assert_rejected(ingest((1, "a.png"), (2, file)), workspace, 3, reason)


def test_an_absolute_path_is_set_aside(ingest, workspace, images):
    secret = write_images(images.parent, ("secret.png",)) / "secret.png"
    assert_rejected(ingest((1, "a.png"), (2, secret)), workspace, 3, "leads out of")


def huge_png() -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in (body, data)
    )


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda good: b"<html>404 not found</html>", "not a JPEG or PNG"),
        (lambda good: good[: len(good) // 2], "truncated or damaged"),
        (lambda good: b"", "zero bytes"),
        (lambda good: huge_png(), "60,000 x 60,000 pixels"),
    ],
)
def test_an_unreadable_image_is_kept_apart_with_a_reason_and_loads_once_mended(
    ingest, workspace, images, spoil, reason
):
    good = (images / "c.jpg").read_bytes()
    (images / "c.jpg").write_bytes(spoil(good))
    done = ingest((1, "a.png"), (2, "c.jpg"))
    assert done.code == 0 and "1 object added" in done.out and "1 unreadable" in done.out
    assert done.out.count("c.jpg") == 1, "the file is named twice"
    assert f"c.jpg: {ask(workspace, 'SELECT reason FROM stamps WHERE object_id = 2')[0][0]}".endswith(
        next(line for line in done.out.splitlines() if reason in line).partition("c.jpg: ")[2]
    )
    assert ask(workspace, "SELECT quality, domain FROM catalog ORDER BY object_id") == [
        ("ok", "in"),
        ("unreadable", "artefact"),
    ]
    (images / "c.jpg").write_bytes(good)
    assert "1 object added, 1 was there already" in ingest((1, "a.png"), (2, "c.jpg")).out
    assert ask(workspace, "SELECT quality, domain FROM catalog ORDER BY object_id") == [("ok", "in")] * 2
    assert cli("-w", workspace.path, "check").code == 0


def test_the_same_ingest_twice_changes_nothing(ingest, workspace):
    rows, header = [(1, "a.png", "spiral"), (2, "b.png", "")], (*HEADER, "label")
    ingest(*rows, header=header)
    before = ask(workspace, "FROM catalog"), ask(workspace, "FROM labels"), ask(workspace, "FROM stamps")
    assert "0 objects added, 2 were there already" in ingest(*rows, header=header).out
    assert before == (ask(workspace, "FROM catalog"), ask(workspace, "FROM labels"), ask(workspace, "FROM stamps"))
    assert len(list(workspace.path.glob("stamps/des/*"))) == 1


def test_a_known_id_with_another_image_is_set_aside(ingest, workspace):
    ingest((1, "a.png"))
    assert_rejected(ingest((1, "b.png"), (2, "c.jpg")), workspace, 2, "has another image of it already", good=(1, 2))


def test_every_row_is_in_exactly_one_count(workspace, images, tmp_path):
    (images / "bad.png").write_text("no image")
    write_images(images, ("old.png",), seed=9)
    first = write_csv(tmp_path / "first.csv", HEADER, (7, "old.png"))
    ingest_images(workspace, images, first, survey="des")
    rows = [(7, "old.png"), (1, "a.png"), (2, "bad.png"), (3, "none.png"), (1, "b.png"), (8, "a.png"), ("", "c.jpg")]
    report = ingest_images(workspace, images, write_csv(tmp_path / "t.csv", HEADER, *rows), survey="des")
    assert report.added + sum(report.flagged.values()) + report.unchanged + len(report.rejections) == len(rows)
    assert len(rejections(workspace)) == len(report.rejections) == 3
    assert loaded(workspace) == [1, 2, 7, 8]


def test_a_table_of_which_nothing_is_good_loads_nothing_and_says_so(ingest, workspace):
    done = ingest((1, "none.png"), ("", "a.png"))
    assert done.code == 1 and "0 objects added" in done.out and "2 rows could not be used" in done.err
    assert loaded(workspace) == [] and len(rejections(workspace)) == 2


def test_all_rejected_rows_are_listed_for_people_up_to_twenty_and_recorded_whole(ingest, workspace):
    done = ingest((1, "a.png"), *((n, "none.png") for n in range(2, 32)))
    assert "30 rows could not be used" in done.err and "and 10 more" in done.err and len(done.err.splitlines()) == 22
    assert len(rejections(workspace)) == 30


def test_two_ingests_at_once_mix_up_no_stamps(workspace, tmp_path):
    children = []
    for part in range(2):
        names = [f"{n}.png" for n in range(20)]
        folder = write_images(tmp_path / f"part{part}", names, seed=100 * part)
        table = write_csv(tmp_path / f"{part}.csv", HEADER, *((100 * part + n, f"{n}.png") for n in range(20)))
        arguments = ["-w", workspace.path, "ingest", "images", folder, "--table", table, "--survey", "des"]
        children.append(subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=subprocess.DEVNULL))
    assert [child.wait() for child in children] == [0, 0]
    rows = ask(workspace, "SELECT object_id, shard, row FROM stamps")
    stamps = StampReader(workspace.path, [row[1] for row in rows], [row[2] for row in rows]).read(range(len(rows)))
    assert len(rows) == 40
    for (object_id, _, _), stamp in zip(rows, stamps, strict=True):
        assert (stamp == galaxy(object_id)).all(), object_id


def test_shards_written_at_once_get_names_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda i: write_shard(tmp_path, "des", np.full((2, 4, 4, 3), i, np.uint8)), range(24)))
    assert len(set(names)) == 24
    assert [int(np.load(tmp_path / name)[0, 0, 0, 0]) for name in names] == list(range(24))


# --- the words of the command


def test_a_folder_that_is_missing_or_holds_no_image_is_refused(workspace, tmp_path):
    table = write_csv(tmp_path / "t.csv", HEADER, (1, "a.png"))
    (tmp_path / "empty").mkdir()
    for folder, words in (("none", "there is no folder"), ("empty", "holds no .jpg, .jpeg or .png")):
        arguments = "ingest", "images", tmp_path / folder, "--table", table, "--survey", "des"
        failed(cli("-w", workspace.path, *arguments), folder, words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--survey", "2mass"), "unknown survey '2mass'; this workspace has sdss, des"),
        (("--split", "test"), "unknown split 'test'; use train"),
        (("--source", "promoted"), "unknown source 'promoted'"),
        (("--source", "me"), "unknown source 'me' of labels; use human"),
    ],
)
def test_an_unknown_survey_split_or_source_is_refused(ingest, workspace, options, words):
    failed(ingest((1, "a.png"), options=options), words)
    assert loaded(workspace) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("ingest", "images"),
        ("ingest", "images", "x", "--table", "t.csv"),
        ("round", "--n", "0"),
        ("round", "--n", "two"),
        ("rollback",),
        ("rollback", "--to", "-1"),
        ("why",),
        ("status", "--format", "yaml"),
        ("init", "x", "--stamp-size", "large"),
        ("--nonsense",),
    ],
)
def test_a_usage_error_exits_with_two_and_without_a_traceback(arguments):
    done = cli(*arguments)
    assert done.code == 2 and "Error" in done.err and "Traceback" not in done.err and done.out == ""


def test_an_error_in_a_process_of_its_own_is_one_line_unless_debug_asks_for_more(tmp_path):
    done = process("-w", tmp_path / "none", "status")
    failed(done, "none does not exist", "catbuilder init")
    assert done.out == ""
    assert "Traceback" in process("--debug", "-w", tmp_path / "none", "status").err


# --- workspaces and settings


def test_every_verb_refuses_a_folder_that_is_no_workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CATBUILDER_WORKSPACE", raising=False)
    for verb in (("status",), ("metrics",), ("check",), ("why", 1), ("sql", "SELECT 1"), ("round",), ("score",),
                 ("rollback", "--to", 0), ("export", "x.fits"), ("labels", "export", "x.csv")):  # fmt: skip
        failed(cli(*verb), "is not a workspace", "catbuilder init")


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ("Spiral Galaxy,elliptical", "'Spiral Galaxy' must be lower-case letters"),
        ("spiral,2", "'2' must be"),
        ("spiral,élliptical", "must be lower-case"),
        ("spiral,x;DROP TABLE labels", "must be lower-case"),
        ("spiral", "two or more different names"),
        ("spiral,spiral", "two or more different names"),
        ("spiral,", "'' must be"),
    ],
)
def test_class_names_that_cannot_name_columns_are_refused_at_init(tmp_path, classes, words):
    error = failed(cli("init", tmp_path / "ws", "--classes", classes), words, "classes")
    assert ".draft" not in error
    assert not list(tmp_path.rglob("*.duckdb")) and not list(tmp_path.rglob("*.toml"))
    assert cli("init", tmp_path / "ws").code == 0  # the same place is free for a better try


def test_init_refuses_a_stamp_size_out_of_range_and_a_place_that_cannot_be(tmp_path):
    failed(cli("init", tmp_path / "ws", "--stamp-size", 4), "stamp_size")
    (tmp_path / "file").write_text("x")
    failed(cli("init", tmp_path / "file" / "ws"), "cannot be made a workspace")
    failed(cli("init", tmp_path / "file"), "cannot be made a workspace")


def test_init_twice_is_refused_and_keeps_what_is_there(workspace):
    before = workspace.catalog_file.read_bytes()
    failed(cli("init", workspace.path), "is a workspace already")
    assert workspace.catalog_file.read_bytes() == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("classs = 1", "unknown key 'classs' (did you mean 'classes'?)"),
        ("stamp_size = 3", "stamp_size"),
        ("not toml", "is not valid TOML"),
        ("[surveys.BAD]", "survey name 'BAD' must be lower-case"),
    ],
)
def test_a_fault_in_the_settings_names_file_and_key(workspace, line, words):
    text = "" if "stamp" in line or "=" not in line else 'classes = ["a", "b"]\n'
    (workspace.path / "catbuilder.toml").write_text(f"{text}{line}\n")
    failed(cli("-w", workspace.path, "status"), "catbuilder.toml", words)


RECIPE = """
name = "mine"
[network]
backbone = "test_efficientnet"
[training]
batch_size = 32
[[training.stages]]
epochs = 1
train_from = "head"
[augmentation]
rotation_degrees = 180.0
[promotion]
policy = "top_k"
per_class = 150
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("per_class", "perclass", "unknown key 'promotion.perclass' (did you mean 'per_class'?)"),
        ("rotation_degrees = 180.0", "rotation_degrees = 270.0", "'augmentation.rotation_degrees' is 270.0"),
        ("batch_size = 32", "batch_size = 0", "'training.batch_size' is 0"),
        ("batch_size = 32", "batch_size = 'x'", "'training.batch_size' is 'x'"),
        ('policy = "top_k"', 'policy = "topk"', "'promotion.policy' is 'topk'"),
        ('train_from = "head"', "", "the key 'training.stages.0.train_from' is missing"),
        ("train_from", "train_form", "'training.stages.0.train_f"),
        ("[network]", "[network", "is not valid TOML"),
        ("[promotion]", "[promotoin]", "did you mean 'promotion'"),
    ],
)
def test_a_fault_in_a_recipe_names_file_and_key(workspace, tmp_path, old, new, words):
    assert old in RECIPE
    (tmp_path / "mine.toml").write_text(RECIPE.replace(old, new, 1))
    failed(cli("-w", workspace.path, "round", "--recipe", tmp_path / "mine.toml"), "mine.toml", words)


def test_an_unknown_recipe_gets_a_suggestion(workspace, tmp_path):
    done = cli("-w", workspace.path, "round", "--recipe", "demmo")
    failed(done, "(did you mean 'demo'?)", "the shipped recipes are certified, demo")
    failed(cli("-w", workspace.path, "round", "--recipe", tmp_path / "none.toml"), "there is no file", "none.toml")
    failed(cli("-w", workspace.path, "round", "--recipe", tmp_path), "there is no recipe named")


def test_a_round_with_nothing_to_train_on_says_what_to_ingest(workspace):
    done = cli("-w", workspace.path, "round", "--recipe", "demo")
    assert done.code == 1 and "Traceback" not in done.err
    assert "no elliptical and no spiral has a label" in done.err and "ingest images" in done.err


def test_an_init_that_was_killed_can_be_given_again(tmp_path):
    made = create_workspace(tmp_path / "ws", stamp_size=SIZE)
    # as it is between the renames: the catalogue in its place, the settings still a draft
    (made.path / "catbuilder.toml").rename(made.path / ".catbuilder.toml.draft")
    assert "Made the workspace" in cli("init", made.path).out
    assert "0" in cli("-w", made.path, "sql", "SELECT count(*) FROM catalog").out


def test_a_catalogue_without_its_settings_is_left_alone(tmp_path):
    made = create_workspace(tmp_path / "ws", stamp_size=SIZE)
    (made.path / "catbuilder.toml").unlink()
    failed(cli("init", made.path), "holds a catalogue without its catbuilder.toml")


def test_what_a_repeated_table_adds_is_recorded_and_what_it_changes_is_refused(workspace, ingest):
    ingest((1, "a.png"), (2, "b.png"))
    columns = ("object_id", "file", "label", "split", "ra", "dec")
    rows = (1, "a.png", "spiral", "calibration", "", ""), (2, "b.png", "", "", 1, 2)
    done = ingest(*rows, header=columns)
    assert "row 3 (object_id 2): des has it already with no position, which cannot be changed" in done.err
    standing = "SELECT object_id, label, split FROM catalog WHERE object_id < 3 ORDER BY ALL"
    assert ask(workspace, standing) == [(1, "spiral", "calibration"), (2, None, "pool")]


# --- test sets


def test_a_test_set_is_written_once(workspace, tmp_path):
    table = write_csv(tmp_path / "t.csv", ("object_id", "label"), (1, "spiral"), (2, ""))
    arguments = "-w", workspace.path, "testset", "HP", "--survey", "des", "--table", table
    assert "2 objects, 1 with a true class" in cli(*arguments).out
    failed(cli(*arguments), "test set HP of des exists already and is frozen")
    assert ask(workspace, "SELECT object_id, truth FROM test_sets ORDER BY ALL") == [(1, "spiral"), (2, None)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((2, "merger", 0.9), "unknown class 'merger'"),
        ((3, "spiral", 1.5), "votes is 1.5, outside 0 to 1"),
        ((1, "elliptical", 1), "the same object_id is already in row 2"),
        ((2,), "it has 1 cell where the header has 3"),
        (("", "spiral", 1), "object_id is empty"),
    ],
)
def test_a_test_set_with_a_bad_row_is_refused_whole(workspace, tmp_path, row, reason):
    table = write_csv(
        tmp_path / "t.csv", ("object_id", "label", "votes"), (1, "spiral", 0.9), row, ("x.", "spiral", "")
    )
    done = cli("-w", workspace.path, "testset", "HP", "--survey", "des", "--table", table)
    failed(done, "refused and nothing is recorded, since a row could not be used: row 3", reason)
    assert ask(workspace, "SELECT count(*) FROM test_sets") == [(0,)] and rejections(workspace) == []


def test_a_row_given_twice_is_one_member_unless_strict_refuses_it(workspace, tmp_path):
    table = write_csv(tmp_path / "t.csv", ("object_id", "label"), (1, "spiral"), (2, "spiral"), (1, "spiral"))
    arguments = "-w", workspace.path, "testset", "HP", "--survey", "des", "--table", table
    failed(cli(*arguments, "--strict"), "the same object_id is already in row 2")
    done = cli(*arguments)
    assert done.code == 0 and "2 objects, 2 with a true class" in done.out and "1 row could not be used" in done.err


def test_a_test_set_without_truth_needs_the_word(workspace, tmp_path):
    arguments = "-w", workspace.path, "testset", "HP", "--survey", "des", "--table"
    misspelt = write_csv(tmp_path / "a.csv", ("object_id", "class"), (1, "spiral"))
    failed(
        cli(*arguments, misspelt), "no column 'label' (not used are class (is it label? then rename it))", "--no-truth"
    )
    empty = write_csv(tmp_path / "b.csv", ("object_id", "label"), (1, ""))
    failed(cli(*arguments, empty), "has no true class in its column label")
    given = write_csv(tmp_path / "c.csv", ("object_id", "label"), (1, "spiral"))
    failed(cli(*arguments, given, "--no-truth"), "has true classes in its column label")
    assert "1 object, 0 with a true class" in cli(*arguments, misspelt, "--no-truth").out


def test_a_test_set_needs_a_plain_name_and_a_known_survey(workspace, tmp_path):
    table = write_csv(tmp_path / "t.csv", ("object_id",), (1,))
    failed(cli("-w", workspace.path, "testset", "H P", "--survey", "des", "--table", table), "cannot name a test set")
    for taken in ("validation", "calibration"):
        failed(cli("-w", workspace.path, "testset", taken, "--survey", "des", "--table", table), "uses it for its own")
    failed(cli("-w", workspace.path, "testset", "HP", "--survey", "lsst", "--table", table), "unknown survey 'lsst'")
    failed(cli("-w", workspace.path, "testset", "HP", "--survey", "des", "--table", tmp_path / "no"), "no table")


# --- labels


@pytest.fixture
def labelled(workspace):
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", [1, 2, 3])
        add_objects(recording, "sdss", [3])
    return workspace


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((9, "spiral", ""), "object 9 is not in the catalogue"),
        ((3, "spiral", ""), "object 3 is in des and sdss"),
        ((2, "merger", ""), "unknown class 'merger'"),
        ((2, "", ""), "label is empty; fill in one of elliptical, spiral"),
        ((2, "spiral", "1.2"), "confidence is 1.2, outside 0 to 1"),
        ((2, "spiral", "sure"), "confidence is 'sure'"),
        ((1, "elliptical", ""), "is already in row 2"),
    ],
)
def test_a_label_that_cannot_be_recorded_is_set_aside(labelled, tmp_path, row, reason):
    table = write_csv(tmp_path / "t.csv", ("object_id", "label", "confidence"), (1, "spiral", 0.5), row)
    done = cli("-w", labelled.path, "labels", "import", table)
    assert done.code == 0 and "1 label recorded" in done.out and "t.csv, row 3" in done.err and reason in done.err
    assert ask(labelled, "SELECT survey, object_id, label FROM labels") == [("des", 1, "spiral")]
    assert len(rejections(labelled)) == 1


def test_labels_name_their_survey_and_source_or_are_refused(labelled, tmp_path):
    table = write_csv(tmp_path / "t.csv", ("object_id", "label"), (3, "spiral"))
    assert "1 label recorded" in cli("-w", labelled.path, "labels", "import", table, "--survey", "sdss").out
    again = cli("-w", labelled.path, "labels", "import", table, "--survey", "sdss")
    assert "0 labels recorded, 1 was there" in again.out
    failed(cli("-w", labelled.path, "labels", "import", table, "--source", "promoted"), "cannot be imported")
    error = failed(cli("-w", labelled.path, "labels", "import", table, "--survey", "DESS"), "unknown survey 'DESS'")
    assert "did you mean 'des'?" in error
    other = write_csv(tmp_path / "o.csv", ("object_id", "survey", "label"), (3, "dess", "spiral"), (3, "des", "spiral"))
    done = cli("-w", labelled.path, "labels", "import", other)
    assert "unknown survey 'dess' (did you mean 'des'?); this workspace has sdss, des" in done.err and done.code == 0


def test_two_sources_may_label_the_same_object_in_one_table(labelled, tmp_path):
    rows = [(1, "spiral", "human"), (1, "elliptical", "galaxy_zoo"), (2, "spiral", "me")]
    table = write_csv(tmp_path / "t.csv", ("object_id", "label", "source"), *rows)
    done = cli("-w", labelled.path, "labels", "import", table)
    assert "2 labels recorded" in done.out and "unknown source 'me'" in done.err
    assert ask(labelled, "SELECT label, source FROM catalog WHERE object_id = 1") == [("spiral", "human")]


# --- the catalogue file


def test_a_file_that_is_not_a_catalogue_is_named(workspace, tmp_path):
    workspace.catalog_file.write_bytes(b"SQLite format 3\0" * 300)
    failed(cli("-w", workspace.path, "status"), "catalog.duckdb cannot be opened as a catalogue")
    workspace.catalog_file.unlink()
    failed(cli("-w", workspace.path, "status"), "there is no catalogue")
    duckdb.connect(str(workspace.catalog_file)).close()
    failed(cli("-w", workspace.path, "status"), "a DuckDB file but not a catalogue of catbuilder")


def test_a_newer_schema_is_refused_with_what_to_do(workspace):
    with duckdb.connect(str(workspace.catalog_file)) as con:
        con.execute("INSERT INTO migrations VALUES (99, '0099_future', '9.0', now())")
    failed(cli("-w", workspace.path, "status"), "has schema 99", "install the newer catbuilder")


HOLD = "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def holder(workspace):
    """Another process that holds the catalogue until its standard input is closed."""
    command = [sys.executable, "-c", HOLD, str(workspace.catalog_file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "held\n"
        yield child
        child.stdin.close()


def test_who_holds_the_catalogue_is_named_after_the_wait(workspace, holder):
    started = time.monotonic()
    with pytest.raises(WorkspaceBusy, match=rf"process {holder.pid} .*0 s; close it there"), workspace.reading(0.3):
        pass
    with pytest.raises(WorkspaceBusy, match=str(holder.pid)), workspace.recording("x", wait_s=0):
        pass
    assert time.monotonic() - started < 60


def test_a_command_waits_for_the_holder_and_then_answers(workspace, holder):
    with subprocess.Popen(
        [*COMMAND, "-w", str(workspace.path), "status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        waiting = child.stderr.readline()
        assert f"waiting for process {holder.pid}" in waiting and "catalog.duckdb" in waiting
        holder.stdin.close()
        assert "The catalogue is empty" in child.stdout.read()
    assert child.returncode == 0


def test_a_catalogue_that_is_behind_its_log_is_damaged(tmp_path):
    workspace = surveyed(tmp_path / "ws")
    run = ask(workspace, "SELECT max(run) FROM runs")[0][0]
    whole = workspace.log_file.read_text()
    for entry in ({"run": run + 1, "events": 0}, {"run": run, "events": 99}):
        workspace.log_file.write_text(f"{whole}{json.dumps(entry)}\n")
        failed(cli("-w", workspace.path, "status"), "something recorded was lost", "restore")
        with pytest.raises(CatalogueDamaged), workspace.recording("x"):
            pass
    # a line that a crash has cut off was never promised
    workspace.log_file.write_text(f'{whole}{{"run": {run + 1}, "ev')
    assert cli("-w", workspace.path, "status").code == 0
    with workspace.recording("goes on"):
        pass
    assert cli("-w", workspace.path, "status").code == 0


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=300))
def test_no_bytes_given_as_a_table_end_in_a_traceback(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"object_id,file\n" + content)
    try:
        table = read_table(path, [CsvColumn(name, required=True) for name in HEADER])
    except InputError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert table.rows or table.rejections
