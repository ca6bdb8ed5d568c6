import json
import os
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from support.forked_processes import forked_workers
from support.toy_survey import CLASSES, run, run_process, score_job, toy_recipe, toy_stamps, toy_workspace, train_job

from catbuilder.network.checkpoint import load_model
from catbuilder.network.jobs import EarlierRound, EarlierScoring
from catbuilder.network.scorer import Scorer, mutual_information
from catbuilder.rounds.choose_precision import choose_precision
from catbuilder.rounds.scoring import _take_over_unfinished

SCORE = "catbuilder.network.score"
RECIPE = toy_recipe()


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A workspace with a trained model and all of its objects scored in one shard."""
    workspace = toy_workspace(tmp_path_factory.mktemp("score") / "survey")
    run(train_job(workspace, "train", RECIPE))
    done = run_process(SCORE, job(workspace, "whole", ((0, 0, 120),)))
    assert done.returncode == 0, done.stderr
    return workspace


def job(workspace, attempt, shards, recipe=RECIPE, **changes):
    return score_job(workspace, attempt, recipe, shards, **changes)


def test_every_row_has_a_posterior_that_sums_to_one_in_the_manifests_order(survey):
    scores = pq.read_table(survey / "whole" / "scores-00000.parquet")
    assert scores.column_names == ["survey", "object_id", "p_blob", "p_bar"]
    assert scores["object_id"].to_pylist() == list(range(1000, 1120))
    total = scores["p_blob"].to_numpy() + scores["p_bar"].to_numpy()
    assert np.abs(total - 1).max() <= 1.2e-7


def test_features_are_kept_for_the_rows_that_ask_for_them(survey):
    features = pq.read_table(survey / "whole" / "features-00000.parquet")
    assert features["object_id"].to_pylist() == list(range(1000, 1120, 3))
    assert features.schema.field("features").type.list_size == RECIPE.network.hidden
    assert all(np.isfinite(row).all() for row in features["features"].to_pylist())


def test_no_features_file_appears_when_no_row_asks(survey):
    run(job(survey, "none", ((0, 1, 3),)))
    assert (survey / "none" / "scores-00000.parquet").exists()
    assert not list((survey / "none").glob("features-*"))


def test_scores_do_not_depend_on_how_the_work_is_cut(survey):
    shards = ((3, 0, 7), (4, 7, 50), (5, 50, 120))
    run(job(survey, "cut", shards))
    parts = [pq.read_table(survey / "cut" / f"scores-{number:05d}.parquet") for number, _, _ in shards]
    whole = pq.read_table(survey / "whole" / "scores-00000.parquet")
    assert np.array_equal(np.concatenate([part["p_bar"].to_numpy() for part in parts]), whole["p_bar"].to_numpy())


def test_scoring_again_gives_the_same_bytes(survey):
    run(job(survey, "again", ((0, 0, 120),)))
    for name in ("scores-00000.parquet", "features-00000.parquet"):
        assert (survey / "again" / name).read_bytes() == (survey / "whole" / name).read_bytes()


@pytest.fixture(scope="module")
def second(survey):
    """The model of a second round, trained from another seed."""
    run(train_job(survey, "train-2", RECIPE, seed=2))
    return survey / "train-2" / "model.safetensors"


def mean(survey, second, attempt, shards, *scorings, first=None, **changes):
    """Score by the mean of two rounds, of which the first has scored already what `scorings` say."""
    earlier = EarlierRound(models=(first or survey / "train" / "model.safetensors",), scorings=scorings)
    run(job(survey, attempt, shards, model=second, earlier=(earlier,), **changes))
    return {file.name: file.read_bytes() for file in (survey / attempt).glob("*.parquet")}


def test_a_mean_with_an_earlier_round_has_the_same_bytes_from_its_scores_as_from_its_networks(survey, second, tmp_path):
    whole, scored = ((0, 0, 120),), EarlierScoring(
        manifest=survey / "score.parquet", shards=(survey / "whole" / "scores-00000.parquet",)
    )  # fmt: skip
    run_again = mean(survey, second, "mean-run", whole)
    assert mean(survey, second, "mean-read", whole, scored, first=tmp_path / "not there") == run_again
    run(job(survey, "second", whole, model=second))
    alone = [pq.read_table(survey / name / "scores-00000.parquet") for name in ("whole", "second")]
    found = pq.read_table(survey / "mean-run" / "scores-00000.parquet")
    bars = np.mean([table["p_bar"].to_numpy().astype(float) for table in alone], axis=0)
    np.testing.assert_array_equal(found["p_bar"].to_numpy(), bars.astype(np.float32))
    assert pq.read_table(survey / "mean-run" / "own-00000.parquet").equals(alone[1])
    both = np.array([[table["p_blob"].to_numpy(), table["p_bar"].to_numpy()] for table in alone], float)
    np.testing.assert_allclose(found["mutual_information"], mutual_information(both.transpose(0, 2, 1)), atol=1e-6)


def test_what_the_earlier_round_scored_from_another_stamp_or_not_at_all_its_networks_score(survey, second, tmp_path):
    whole, run_again = ((0, 0, 120),), mean(survey, second, "mean-all", ((0, 0, 120),))
    manifest = pq.read_table(survey / "score.parquet")
    rows = manifest["row"].to_numpy().copy()
    rows[5] += 1
    other = tmp_path / "manifest.parquet"
    pq.write_table(manifest.set_column(manifest.column_names.index("row"), "row", pa.array(rows)), other)
    # of object 1005 another stamp was scored, and wrongly for this one; of the objects from 1050 on nothing is known
    scores = pq.read_table(survey / "whole" / "scores-00000.parquet").slice(0, 50)
    wrong = scores["p_bar"].to_numpy().copy()
    wrong[5] = 0.123
    scores = scores.set_column(scores.column_names.index("p_bar"), "p_bar", pa.array(wrong))
    pq.write_table(scores, tmp_path / "scores.parquet")
    scored = EarlierScoring(manifest=other, shards=(tmp_path / "scores.parquet",))
    assert mean(survey, second, "mean-some", whole, scored) == run_again


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_stamps_bits_do_not_depend_on_its_neighbours_or_its_place_in_the_batch(survey, channels_last):
    network, _ = load_model(survey / "train" / "model.safetensors")
    scorer = Scorer(network, 16, symmetries=1, bf16=False, channels_last=channels_last)
    stamps = torch.from_numpy(toy_stamps(np.arange(16) % 2, seed=5))
    alone = scorer.score(stamps[:1])
    for place in range(16):
        batch = torch.roll(stamps, place, 0)
        scores = scorer.score(batch)
        assert np.array_equal(scores.posteriors[place], alone.posteriors[0])
        assert np.array_equal(scores.features[place], alone.features[0])


def test_with_all_symmetries_a_turned_or_mirrored_stamp_has_the_same_posterior(survey):
    network, _ = load_model(survey / "train" / "model.safetensors")
    scorer = Scorer(network, 4, symmetries=8, bf16=False, channels_last=True)
    stamp = torch.from_numpy(toy_stamps(np.array([1]), seed=5))
    plain = scorer.score(stamp).posteriors
    for other in (stamp.flip(1), stamp.flip(2), torch.rot90(stamp, 1, (1, 2))):
        np.testing.assert_allclose(scorer.score(other.contiguous()).posteriors, plain, atol=1e-6)


@pytest.mark.slow
def test_a_compiled_network_gives_the_same_scores_in_every_place_of_a_batch(survey):
    stamps = torch.from_numpy(toy_stamps(np.arange(4) % 2, seed=5))
    plain, compiled = (
        Scorer(load_model(survey / "train" / "model.safetensors")[0], 4, 4, bf16=False, channels_last=True, compiled=c)
        for c in (False, True)
    )
    found = compiled.score(stamps)
    np.testing.assert_allclose(found.posteriors, plain.score(stamps).posteriors, atol=1e-5)
    rolled = compiled.score(torch.roll(stamps, 1, 0))
    assert np.array_equal(np.roll(found.posteriors, 1, 0), rolled.posteriors)
    assert np.array_equal(found.posteriors[:1], compiled.score(stamps[:1]).posteriors)


def test_where_nothing_can_be_compiled_one_sentence_says_so(survey, tmp_path):
    recipe = RECIPE.model_copy(update={"scoring": RECIPE.scoring.model_copy(update={"compile": True})})
    here = {"CXX": str(tmp_path / "no-compiler"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    refused = job(survey, "uncompiled", ((0, 0, 4),), recipe)
    command = [sys.executable, "-m", SCORE, str(refused.write(refused.folder / "job.json"))]
    # not a fork: PyTorch looks for the compiler as it is imported
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **here})
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "test_efficientnet cannot be compiled here" in last and "set scoring.compile to false" in last


def test_precision_left_open_is_settled_by_trying_and_the_rest_of_the_recipe_stays(tmp_path):
    settings = {"training": {"precision": "auto"}, "scoring": {"precision": "auto"}}
    changed = {name: getattr(RECIPE, name).model_copy(update=change) for name, change in settings.items()}
    recipe = RECIPE.model_copy(update=changed)
    with forked_workers():
        found, answer = choose_precision(recipe, len(CLASSES), 1, tmp_path)
    assert {found.training.precision, found.scoring.precision} <= {"fp32", "bf16"}
    assert f"training in {found.training.precision} and scoring in {found.scoring.precision}" in answer
    assert set(RECIPE.differing_keys(found)) <= {"training.precision", "scoring.precision"}
    assert found.differing_keys(recipe) == [], "what was left open agrees with what was found"
    assert choose_precision(RECIPE, len(CLASSES), 1, tmp_path) == (RECIPE, ""), "nothing open, nothing tried"


def test_scoring_has_the_trainings_precision_unless_it_has_its_own():
    def in_bf16(training, scoring):
        recipe = toy_recipe(precision=training)
        own = recipe.scoring.model_copy(update={"precision": scoring})
        return recipe.model_copy(update={"scoring": own}).scores_in_bf16

    assert in_bf16("bf16", "training") and in_bf16("fp32", "bf16")
    assert not in_bf16("fp32", "training") and not in_bf16("bf16", "fp32")


def test_progress_counts_up_to_the_whole(survey):
    (log,) = (survey / "whole").glob("score-*.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    progress = [line for line in lines if line["event"] == "progress"]
    assert progress[-1]["done"] == progress[-1]["of"] == 120
    assert [line["shard"] for line in lines if line["event"] == "shard"] == [0]


def test_a_process_killed_in_mid_shard_goes_on_after_its_last_part_to_the_same_bytes(survey):
    """Killed in one attempt, and gone on with in the next, to which the coordinator moves the parts."""
    first = job(survey, "attempts/score-01", ((0, 0, 120),), part_s=0.0)
    killed = run_process(SCORE, first, CATBUILDER_FAULT="score.after_part")
    assert killed.returncode == -signal.SIGKILL
    assert [part.name for part in sorted((first.folder / "parts").iterdir())] == [
        "features-00000-00000000-00000016.parquet", "scores-00000-00000000-00000016.parquet"
    ]  # fmt: skip
    again = job(survey, "attempts/score-02", ((0, 0, 120),), part_s=0.03)
    again.folder.mkdir()
    _take_over_unfinished(again.folder)
    run(again)
    (log,) = again.folder.glob("score-*.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["rows"] for line in lines if line["event"] == "resumed"] == [16]
    for name in ("scores-00000.parquet", "features-00000.parquet"):
        assert (again.folder / name).read_bytes() == (survey / "whole" / name).read_bytes()
    assert not list((again.folder / "parts").iterdir())


def test_a_model_of_other_classes_or_none_at_all_is_refused_in_one_line(survey):
    for changes, message in (
        ({"classes": ("spiral", "elliptical")}, f"was trained for the classes {', '.join(CLASSES)}"),
        ({"model": survey / "nowhere.safetensors"}, "missing or is not a catbuilder model"),
    ):
        done = run_process(SCORE, job(survey, "refused", ((0, 0, 4),), **changes))
        assert done.returncode == 1 and message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
