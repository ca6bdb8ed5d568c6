"""Arguments of public calls: text with commas is a list of names, and an unknown word is refused in one sentence."""

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
