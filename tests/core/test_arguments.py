"""Arguments of public calls: text with commas is a list of names, and an unknown word is refused in one sentence."""

import math

import pytest
from support.workspaces import surveyed, write_csv

import catbuilder


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return surveyed(tmp_path_factory.mktemp("arguments") / "ws")


def test_text_with_commas_is_a_list_of_names(workspace, tmp_path):
    assert catbuilder.count_objects(workspace, "survey, source").column_names[:2] == ["survey", "source"]
    assert catbuilder.load_recipe("real", "members=3").members == 3
    made = catbuilder.create_workspace(tmp_path / "ws", "elliptical,spiral,merger")
    assert made.config.classes == ("elliptical", "spiral", "merger")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda w, t: catbuilder.select_objects(w, "random", 3, purpose="fish"),
            "purpose of a selection cannot be 'fish'",
        ),
        (lambda w, t: catbuilder.ingest_survey(w, t, "fish"), "kind of a survey table cannot be 'fish'; use gz1"),
        (lambda w, t: catbuilder.metrics(w, by="fish"), "quantity of bins cannot be 'fish'"),
        (lambda w, t: catbuilder.track(w, "fish"), "a tracker cannot be 'fish'; use tensorboard or mlflow"),
        (
            lambda w, t: catbuilder.import_labels(w, t, layout="fish"),
            "the layout of labels cannot be 'fish'; use plain",
        ),
        (lambda w, t: catbuilder.import_labels(w, t, survey="fish"), "unknown survey 'fish'"),
        (lambda w, t: catbuilder.write_cutout_list(w, t, by="fish"), "the way to identify objects cannot be 'fish'"),
        (lambda w, t: catbuilder.compare(w, t, question=asked(of="fish")), "the column of ours to compare cannot be"),
        (lambda w, t: catbuilder.compare(w, t, question=asked(by="fish")), "the way to pair objects cannot be 'fish'"),
        (lambda w, t: catbuilder.export(w, ""), "names no file to write"),
        (lambda w, t: catbuilder.export_labels(w, "."), "names no file to write"),
        (lambda w, t: catbuilder.compact(w, 0), "0 models cannot be kept"),
        (lambda w, t: catbuilder.run_rounds(w, 1, "demo", ranks=0), "0 processes cannot train; give 1 or more"),
    ],
)
def test_an_unknown_word_is_refused_with_the_known_ones(workspace, tmp_path, call, said):
    table = write_csv(tmp_path / "t.csv", ("object_id",), (1,))
    with pytest.raises(catbuilder.CatbuilderError, match=said):
        call(workspace, table)


@pytest.mark.parametrize("number", [math.nan, math.inf, -1.0])
@pytest.mark.parametrize(
    "call",
    [
        lambda w, n: catbuilder.fetch(w, "des", width_arcsec=n),
        lambda w, n: catbuilder.fetch(w, "des", policy=catbuilder.RatePolicy(rate_per_s=n)),
        lambda w, n: catbuilder.write_cutout_list(w, "none.csv", width_arcsec=n),
        lambda w, n: catbuilder.crossmatch(w, n),
        lambda w, n: catbuilder.compare(w, "none.csv", question=asked(radius_arcsec=n)),
        lambda w, n: catbuilder.compare(w, "none.csv", columns=catbuilder.CatalogueColumns(least=n)),
        lambda w, n: catbuilder.query(w, "SELECT 1", timeout_s=n),
        lambda w, n: catbuilder.query(w, "SELECT 1", memory_mb=n),
        lambda w, n: catbuilder.simulate(w.path.parent / "new", 300, seed=n),
        lambda w, n: catbuilder.select_objects(w, "random", n),
    ],
)
def test_a_number_out_of_its_range_is_refused(workspace, call, number):
    with pytest.raises(catbuilder.CatbuilderError, match=r"is .* arcsec; give one|cannot be .*; give a number from"):
        call(workspace, number)


def asked(**fields):
    return catbuilder.CompareRequest(**fields)
