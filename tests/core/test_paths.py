"""A path is checked before work is done for it: by every verb and by the public API."""

import pytest
from support.workspaces import cli, failed, surveyed

import catbuilder
from catbuilder.core.errors import CatbuilderError, InputError
from catbuilder.core.paths import figure_to_write, file_to_write, folder_to_write


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return surveyed(tmp_path_factory.mktemp("paths") / "ws")


EMPTY = [
    ("init", ""), ("simulate", ""), ("restore", "", "w"), ("restore", "b", ""), ("-w", "", "status"),
    ("status", "-w", ""), ("ingest", "images", "", "--table", "t.csv", "--survey", "des"),
    ("ingest", "images", ".", "--table", "", "--survey", "des"), ("ingest", "images", ".", "--table=", "--survey", "x"),
    ("ingest", "images", ".", "--table", "t.csv", "--survey", ""), ("ingest", "des", ""),
    ("ingest", "tiles", "", "--survey", "des"), ("ingest", "tiles", ".", "--survey", "des", "--objects", ""),
    ("fetch", "--survey", ""), ("cutouts", "--list", ""), ("assemble", "--hp", ""),
    ("testset", "HP", "--survey", "des", "--table", ""), ("testset", "", "--survey", "des", "--table", "t.csv"),
    ("round", "--recipe", ""), ("round", "--cluster", ""), ("metrics", "--figure", ""), ("report", ""),
    ("report", "--figures", ""), ("why", ""), ("similar", "1", "--mosaic", " "), ("count", "--where", ""),
    ("diff", "--from", "1", "--to", "2", "--out", ""), ("compare", ""), ("compare", "x.csv", "--mosaic", ""),
    ("sql", ""), ("select", "--out", ""), ("labels", "import", ""), ("labels", "export", ""), ("export", ""),
    ("export", "x.csv", "--where", ""), ("release", ""), ("track", "--to", "tensorboard", "--dir", ""), ("backup", ""),
]  # fmt: skip


@pytest.mark.parametrize("words", EMPTY, ids=" ".join)
def test_an_empty_value_from_an_unset_shell_variable_is_refused(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed(cli(*words), "is empty")
    assert not list(tmp_path.iterdir())


BAD_TARGETS = [
    (".", "names no file"), ("..", "names no file"), ("folder", "is a folder"), ("none/out", "there is no folder none"),
    ("file/out", "is a file and not a folder"), ("new/", "names no file"), ("catalog.duckdb", "file of a workspace"),
    ("/dev/null", "not an ordinary file"),
]  # fmt: skip


@pytest.mark.parametrize(("target", "words"), BAD_TARGETS)
@pytest.mark.parametrize(
    "verb",
    [
        ("metrics", "--figure"), ("similar", "1", "--mosaic"), ("compare", "x.csv", "--mosaic"),
        ("diff", "--from", "1", "--to", "2", "--out"), ("select", "--out"), ("cutouts", "--list"), ("labels", "export"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_cannot_be_written_is_refused_before_anything_is_printed(
    verb, target, words, survey, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("a file")
    done = cli("-w", survey.path, *verb, target)
    failed(done, words)
    assert done.out == "" and sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        (("export", "."), "names no file"), (("export", "none/x.fits"), "there is no folder none"),
        (("export", "x.fits/"), "names no file"), (("export", "file/x.hats"), "there is no folder"),
        (("report", "none/x.html"), "there is no folder none"), (("report", "x.txt"), "end it in .html"),
        (("report", "--figures", "file"), "is a file"), (("backup", "file"), "is a file"),
        (("backup", "file/b"), "is a file and not a folder"),
        (("track", "--to", "tensorboard", "--dir", "file"), "is a file"),
        (("labels", "export", "file", "--layout", "zooniverse"), "is a file"), (("release", "a/b"), "is not a version"),
    ],
)  # fmt: skip
def test_targets_of_other_verbs_are_refused_in_one_sentence(verb, words, survey, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("a file")
    settings = survey.path / "catbuilder.toml"
    if verb[0] == "release" and "[release]" not in settings.read_text():
        with open(settings, "a") as file:
            file.write('[release]\ntitle = "t"\nlicence = "CC0-1.0"\ncreators = [{family = "a", given = "b"}]\n')
    failed(cli("-w", survey.path, *verb), words)
    assert (tmp_path / "file").read_text() == "a file"


@pytest.mark.parametrize(
    "call",
    [
        lambda w: catbuilder.open_workspace(""), lambda w: catbuilder.create_workspace(""),
        lambda w: catbuilder.simulate(""), lambda w: catbuilder.restore("", "x"), lambda w: catbuilder.restore("x", ""),
        lambda w: catbuilder.backup(w, ""), lambda w: catbuilder.export(w, ""), lambda w: catbuilder.report(w, ""),
        lambda w: catbuilder.export_labels(w, ""), lambda w: catbuilder.export_subjects(w, "", "zooniverse"),
        lambda w: catbuilder.compare(w, ""), lambda w: catbuilder.ingest_survey(w, "", "des"),
        lambda w: catbuilder.ingest_images(w, "", "t.csv", survey="des"),
        lambda w: catbuilder.ingest_images(w, "i", "", survey="des"),
        lambda w: catbuilder.ingest_tiles(w, "", survey="des"), lambda w: catbuilder.import_labels(w, ""),
        lambda w: catbuilder.add_test_set(w, "HP", "", survey="des"), lambda w: catbuilder.assemble(w, hp=""),
        lambda w: catbuilder.write_cutout_list(w, ""), lambda w: catbuilder.draw_mosaic(w, [], ""),
    ],
)  # fmt: skip
def test_the_public_api_takes_no_empty_path_for_the_current_folder(call, survey, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CatbuilderError, match=r"is empty|names no file"):
        call(survey)
    assert not list(tmp_path.iterdir())


def test_a_path_that_can_be_written_is_given_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert file_to_write("a.csv").name == "a.csv" and figure_to_write(tmp_path / "a.pdf") == tmp_path / "a.pdf"
    assert folder_to_write("new/folder").name == "folder" and folder_to_write(".").name == ""
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="not a supported figure format"):
        figure_to_write("a.txt")
