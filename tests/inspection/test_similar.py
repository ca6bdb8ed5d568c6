"""Similar objects: nearest neighbours by a network's features, kept or computed from the stamp."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.workspaces import ask, cli, failed, surveyed

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import NothingToScore
from catbuilder.inspection.similar import similar


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """The surveyed workspace; round 2 has kept features of des 1 to 4 and 7, in a plane, at known angles (degrees)."""
    workspace = surveyed(tmp_path_factory.mktemp("similar") / "ws")
    degrees = {1: 0, 2: 10, 3: 40, 4: 90, 7: 20}
    write_features(
        workspace, 2, {n: [2 * np.cos(np.radians(d)), 2 * np.sin(np.radians(d))] for n, d in degrees.items()}
    )
    return workspace


def write_features(workspace, number, features):
    flat = pa.array(np.array(list(features.values()), np.float32).reshape(-1))
    width = len(next(iter(features.values())))
    columns = {
        "survey": ["des"] * len(features),
        "object_id": pa.array(list(features), pa.int64()),
        "features": pa.FixedSizeListArray.from_arrays(flat, width),
    }
    folder = workspace.round_folder(number) / "scores"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / "features-00000.parquet")


def test_neighbours_are_sorted_by_the_angle_between_features_and_have_their_labels(known):
    found = similar(known, 1, n=3).neighbours
    assert [one.object_id for one in found] == [2, 7, 3]
    assert [one.distance for one in found] == pytest.approx([1 - np.cos(np.radians(d)) for d in (10, 20, 40)], abs=1e-6)
    assert (found[0].label, found[1].source, found[2].source) == ("elliptical", "promoted", "human")
    assert found[2].predicted_label == "elliptical" and found[2].predicted_confidence == pytest.approx(0.95)


def test_zero_features_are_at_distance_one(tmp_path):
    workspace = surveyed(tmp_path / "ws")
    write_features(workspace, 2, {1: [1, 0], 2: [0, 0], 3: [0, 1]})
    assert [(one.object_id, one.distance) for one in similar(workspace, "1").neighbours] == [(2, 1.0), (3, 1.0)]


def test_the_command_gives_ids_as_text_and_asks_which_survey_is_meant(known):
    done = cli("-w", known.path, "similar", "1", "--n", "2", "--format", "json")
    assert [row["object_id"] for row in json.loads(done.out)] == ["2", "7"]
    failed(cli("-w", known.path, "similar", "5"), "object 5 is in des and sdss", "--survey")
    failed(cli("-w", known.path, "similar", "99"), "no object 99")
    failed(cli("-w", known.path, "similar", "1", "--round", "9"), "no round 9")


def test_an_object_without_features_and_without_a_good_stamp_is_refused(known):
    with pytest.raises(NothingToScore, match=r"des 11 has a stamp that is unreadable.*ingest images"):
        similar(known, 11)


def test_a_round_without_features_names_the_setting_that_keeps_them(known):
    failed(cli("-w", known.path, "similar", "1", "--round", "1"), "round 1 kept no features", "pool_features")


def test_an_object_whose_features_were_not_kept_is_embedded_from_its_stamp(first_round, copy_of):
    """Take the features of one object away: what is made anew finds the same neighbours at the same distances."""
    workspace = Workspace.open(copy_of(first_round))
    (file,) = (workspace.round_folder(1) / "scores").glob("features-*.parquet")
    survey, object_id = ask(workspace, f"SELECT survey, object_id FROM read_parquet('{file}') LIMIT 1")[0]
    before = similar(workspace, object_id, n=5, survey=survey).neighbours
    table = pq.read_table(file)
    keys = zip(table["survey"].to_pylist(), table["object_id"].to_pylist(), strict=True)
    pq.write_table(table.filter(pa.array([key != (survey, object_id) for key in keys])), file)
    anew = similar(workspace, object_id, n=5, survey=survey).neighbours
    assert [one.object_id for one in anew] == [one.object_id for one in before]
    # as many threads as the machine has, where the round had one a rank: the last digits differ
    assert [one.distance for one in anew] == pytest.approx([one.distance for one in before], abs=1e-5)

    picture = workspace.path / "alike.png"
    done = cli("-w", workspace.path, "similar", object_id, "--survey", survey, "--n", "5", "--mosaic", picture)
    assert "6 images shown in" in done.out
    assert Image.open(picture).width > 500
