import json
import shutil
import signal
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from support.forked_processes import ForkedProcess, forked_workers
from support.needs import needs_horovod
from support.toy_survey import run, run_process, toy_recipe, toy_workspace, train_job

from catbuilder.core.files import sha256_file
from catbuilder.core.recipe import Teaching
from catbuilder.network.checkpoint import load_model
from catbuilder.network.distributed import _cut
from catbuilder.rounds.launch.ranks import run_ranks

TRAIN = "catbuilder.network.train"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workspace with a finished training in `first`."""
    workspace = toy_workspace(tmp_path_factory.mktemp("train") / "survey")
    done = run_process(TRAIN, train_job(workspace, "first", toy_recipe()))
    assert done.returncode == 0, done.stderr
    return workspace


def events(folder, event):
    lines = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def model_hash(workspace, attempt):
    return sha256_file(workspace / attempt / "model.safetensors")


def test_the_log_tells_of_every_epoch_and_of_the_end(trained):
    log = trained / "first"
    assert events(log, "start")[0]["epochs"] == 3
    epochs = events(log, "epoch")
    assert [line["stage"] for line in epochs] == [0, 1, 1]
    assert all(set(line["accuracy"]) == {"sdss"} for line in epochs)
    assert all(
        line["validation_loss"] == (line["validation_clean"] + line["validation_shifted"]) / 2 for line in epochs
    )
    step = events(log, "step")[0]
    assert step["steps"] == 5 and step["images_per_second"] > 0
    assert events(log, "end")[0]["best_epoch"] in (0, 1, 2)


def test_the_same_job_gives_the_same_bits(trained):
    run(train_job(trained, "again", toy_recipe()))
    assert model_hash(trained, "again") == model_hash(trained, "first")


def test_another_seed_gives_another_model(trained):
    run(train_job(trained, "seed", toy_recipe(), seed=2))
    assert model_hash(trained, "seed") != model_hash(trained, "first")


def test_a_training_resumed_from_a_checkpoint_equals_one_never_interrupted(trained, tmp_path):
    checkpoint = tmp_path / "kept.safetensors"  # its own attempt's folder is not needed
    shutil.copy(trained / "first" / "checkpoint-002.safetensors", checkpoint)
    run(train_job(trained, "resumed", toy_recipe(), resume=checkpoint))
    assert model_hash(trained, "resumed") == model_hash(trained, "first")


def test_a_worker_killed_in_the_middle_leaves_a_checkpoint_that_ends_in_the_same_model(trained):
    job = train_job(trained, "killed", toy_recipe())
    path = job.write(job.folder / "job.json")
    with ForkedProcess([sys.executable, "-m", TRAIN, str(path)]) as process:
        while not (checkpoint := job.folder / "checkpoint-001.safetensors").exists() and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert not (job.folder / "model.safetensors").exists()
    checkpoint = max(job.folder.glob("checkpoint-*.safetensors"))
    run(train_job(trained, "rerun", toy_recipe(), resume=checkpoint))
    assert model_hash(trained, "rerun") == model_hash(trained, "first")


def test_a_finished_training_resumed_from_its_last_checkpoint_gives_its_model(trained):
    last = trained / "first" / "checkpoint-003.safetensors"
    run(train_job(trained, "finished", toy_recipe(), resume=last))
    assert model_hash(trained, "finished") == model_hash(trained, "first")


def test_a_checkpoint_of_another_plan_is_refused_in_one_line(trained):
    last = trained / "first" / "checkpoint-003.safetensors"
    done = run_process(TRAIN, train_job(trained, "refused", toy_recipe(batch_size=8), resume=last))
    assert done.returncode == 1
    assert "belongs to another plan (recipe_sha256 differ)" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_frozen_parts_do_not_change(trained):
    """Stage 1 trains the head alone, stage 2 everything from `blocks` on: the stem never learns."""
    recipe = toy_recipe(stages=[{"epochs": 1, "train_from": "head"}])
    run(train_job(trained, "head", recipe))
    head = load_file(trained / "head" / "model.safetensors")
    full = load_file(trained / "first" / "checkpoint-003.safetensors")
    stem = [name for name in head if name.startswith(("backbone.conv_stem", "backbone.bn1"))]
    assert stem and all(torch.equal(head[name], full[f"network.{name}"]) for name in stem)
    block = "backbone.blocks.0.0.conv.weight"
    assert not torch.equal(head[block], full[f"network.{block}"])
    assert head["backbone.blocks.0.0.bn1.num_batches_tracked"] == 0


def test_the_model_carries_its_story_and_the_best_epochs_weights(trained):
    path = trained / "first" / "model.safetensors"
    with safe_open(path, framework="pt") as file:
        assert list(file.metadata()) == ["catbuilder"]
    network, card = load_model(path)
    assert card.recipe == toy_recipe() and card.plan.classes == ("blob", "bar")
    losses = [result.validation_loss for result in card.history]
    assert losses[card.best_epoch] == min(losses)
    assert not network.training


CALM = {"ema": 0.9, "keep": "last", "batchnorm": "frozen", "layer_decay": 0.8, "streams": "seed"}


def test_an_averaged_network_resumed_equals_one_never_interrupted_and_is_not_the_last_steps(trained):
    run(train_job(trained, "calm", toy_recipe(**CALM)))
    shutil.copy(trained / "calm" / "checkpoint-002.safetensors", trained / "calm-2.safetensors")
    run(train_job(trained, "calm-resumed", toy_recipe(**CALM), resume=trained / "calm-2.safetensors"))
    assert model_hash(trained, "calm-resumed") == model_hash(trained, "calm")
    last = load_file(trained / "calm" / "checkpoint-003.safetensors")
    kept = load_file(trained / "calm" / "model.safetensors")
    name = "classifier.weight"
    assert torch.equal(kept[name], last[f"average.{name}"]) and not torch.equal(kept[name], last[f"network.{name}"])
    assert kept["backbone.blocks.0.0.bn1.num_batches_tracked"] == 0, "frozen statistics do not move"


def test_streams_of_the_seed_alone_make_rounds_train_alike(trained):
    for number in (1, 2):
        job = train_job(trained, f"stream-{number}", toy_recipe(**CALM))
        run(job.model_copy(update={"round": number}))
    first, second = (load_file(trained / f"stream-{number}" / "model.safetensors") for number in (1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def taught_workspace(folder, posterior=None):
    """The toy survey, in which all but 20 training images have no label but a taught one, which is wrong."""
    workspace = toy_workspace(folder, n=200, validation=60)
    table = pq.read_table(workspace / "train.parquet").to_pydict()
    training = [i for i, role in enumerate(table["role"]) if role == "training"]
    for i in training[20:]:
        table["role"][i], table["survey"][i] = "teaching", "des"
        table["label"][i] = 1 - table["label"][i]
    table["weight"] = pa.array([1.0] * 200, pa.float32())
    given = [posterior if role == "teaching" else None for role in table["role"]]
    table["posterior"] = pa.array(given, pa.list_(pa.float32()))
    pq.write_table(pa.table(table), workspace / "train.parquet")
    return workspace


def test_taught_images_are_learned_as_they_are_taught(tmp_path):
    recipe = toy_recipe(stages=[{"epochs": 12, "train_from": "all"}], keep="last", batch_size=16)
    recipe = recipe.model_copy(update={"teaching": Teaching(share=0.875)})
    workspace = taught_workspace(tmp_path / "wrong")
    run(train_job(workspace, "a", recipe))
    assert events(workspace / "a", "start")[0]["taught"] == 120
    assert events(workspace / "a", "epoch")[-1]["accuracy"]["sdss"] < 0.3, "most of what it saw was wrong"


def test_a_soft_target_that_says_nothing_leaves_the_labels_to_teach(tmp_path):
    recipe = toy_recipe(stages=[{"epochs": 12, "train_from": "all"}], keep="last", batch_size=16)
    recipe = recipe.model_copy(update={"teaching": Teaching(share=0.5, target="soft")})
    workspace = taught_workspace(tmp_path / "soft", [0.5, 0.5])
    run(train_job(workspace, "a", recipe))
    assert events(workspace / "a", "epoch")[-1]["accuracy"]["sdss"] > 0.6


@pytest.mark.parametrize("precision, channels_last", [("fp32", False), ("bf16", True)])
def test_it_learns_a_problem_that_can_be_learned(tmp_path, precision, channels_last):
    workspace = toy_workspace(tmp_path / "survey", n=400, validation=100)
    recipe = toy_recipe(
        stages=[{"epochs": 6, "train_from": "all"}], precision=precision, channels_last=channels_last, patience=6
    )
    run(train_job(workspace, "a", recipe))
    assert max(line["accuracy"]["sdss"] for line in events(workspace / "a", "epoch")) > 0.95


def test_without_a_validation_set_every_epoch_is_trained_and_the_log_says_so(tmp_path):
    workspace = toy_workspace(tmp_path / "survey", n=32, validation=0)
    run(train_job(workspace, "a", toy_recipe()))
    assert "no validation set" in events(workspace / "a", "start")[0]["note"]
    assert events(workspace / "a", "end")[0]["best_epoch"] == 2


def test_a_manifest_without_training_rows_is_refused_in_one_line(tmp_path):
    workspace = toy_workspace(tmp_path / "survey", n=8, validation=8)
    done = run_process(TRAIN, train_job(workspace, "a", toy_recipe()))
    assert done.returncode == 1 and "no training rows" in done.stderr and "Traceback" not in done.stderr


@needs_horovod
@pytest.mark.slow
def test_two_ranks_train_one_network_and_give_the_same_bits_twice(tmp_path):
    workspace = toy_workspace(tmp_path / "survey", n=125)  # 85 for training: no multiple of 2 x 16
    recipe = toy_recipe(batch_size=16, warmup_epochs=1, scale_rate=True)
    for attempt in ("a", "b"):
        run_two_ranks(train_job(workspace, attempt, recipe))
    assert model_hash(workspace, "a") == model_hash(workspace, "b")
    epochs = events(workspace / "a", "epoch")
    assert [line["learning_rate"] for line in epochs] == pytest.approx([3e-3, 6e-3, 6e-3])
    assert load_model(workspace / "a" / "model.safetensors")[1].plan.ranks == 2
    # In three groups, sent while backward computes, the same sums: of two numbers they have no order.
    run_two_ranks(train_job(workspace, "grouped", recipe.model_copy(update={"training": grouped(recipe, 3)})))
    flat, groups = (load_file(workspace / attempt / "model.safetensors") for attempt in ("a", "grouped"))
    assert all(torch.equal(groups[name], tensor) for name, tensor in flat.items())


def run_two_ranks(job, module=TRAIN):
    with forked_workers():
        run_ranks(job, 2, lambda: None, module)


def grouped(recipe, groups):
    return recipe.training.model_copy(update={"gradient_groups": groups})


def test_groups_of_gradients_are_neighbours_of_about_equal_size_and_never_empty():
    parameters = [torch.nn.Parameter(torch.empty(n)) for n in (10, 1, 1, 30, 8, 10)]
    for groups, sizes in ((1, [60]), (2, [42, 18]), (3, [12, 30, 18]), (50, [10, 1, 1, 30, 8, 10])):
        cut = _cut(parameters, groups)
        assert [p.numel() for group in cut for p in group] == [10, 1, 1, 30, 8, 10]
        assert [sum(p.numel() for p in group) for group in cut] == sizes


@needs_horovod
@pytest.mark.slow
def test_the_replicas_of_two_ranks_are_identical_to_the_last_bit(tmp_path):
    workspace = toy_workspace(tmp_path / "survey", n=60, validation=20)
    run_two_ranks(train_job(workspace, "a", toy_recipe()), "support.replica")
    first, second = ((workspace / "a" / f"replica-{rank}").read_text() for rank in (0, 1))
    assert first == second
