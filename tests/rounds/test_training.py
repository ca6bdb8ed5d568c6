"""Rounds of several networks: what each member is, what they say together, and that no kill loses a finished one."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.command_line import CommandLine, wait_for
from support.contents import assert_same_contents, contents, rows
from support.small_survey import CLASSES, POOL, Source, bring_in, draw, write_recipe
from support.toy_survey import run

from catbuilder.catalogue.round_records import RoundPlan, read_plan, score_manifest_file
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import CatalogueDamaged
from catbuilder.core.progress import Reporter
from catbuilder.core.stamps import StampReader
from catbuilder.inspection.check import check
from catbuilder.inspection.why import why
from catbuilder.network.checkpoint import load_model, with_checksum
from catbuilder.network.jobs import TrainJob
from catbuilder.network.model_card import read_model_card
from catbuilder.network.scorer import Ensemble, PendingScores, Scorer, mutual_information
from catbuilder.rounds.scoring import ScoreReport, score
from catbuilder.rounds.training import member_seed, members_of, train_members

MEMBERS = "SELECT * EXCLUDE (run) FROM members ORDER BY member"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe") / "pair.toml", batch_size=8, scored_at_once=20, symmetries=1)


def round_of_two(recipe: Path, workspace: Path, expect: int = 0, **environment: str) -> str:
    command = CommandLine(workspace, recipe)
    return command(*command.round_arguments(), "--set", "members=2", expect=expect, **environment)


@pytest.fixture(scope="module")
def pair(small_survey: Path, copy_of: Callable[[Path], Path], recipe: Path) -> Workspace:
    """The small survey after a round of two networks; copy it, do not change it."""
    workspace = Workspace.open(copy_of(small_survey))
    said = round_of_two(recipe, workspace.path)
    assert "round 1, network 1 of 2: epoch 1 of 2" in said and "round 1, network 2 of 2: epoch 2 of 2" in said
    return workspace


@pytest.fixture
def copied(pair: Workspace, copy_of: Callable[[Path], Path]) -> Workspace:
    return Workspace.open(copy_of(pair.path))


def plan_of(workspace: Workspace) -> RoundPlan:
    with workspace.reading() as con:
        return read_plan(con, 1)


# What the members are


def test_member_0_has_the_rounds_own_seed_and_no_two_members_of_any_rounds_share_one() -> None:
    assert [member_seed(seed, 0) for seed in (0, 7, 2**62)] == [0, 7, 2**62]
    seeds = [member_seed(seed, number) for seed in range(50) for number in range(1, 20)]
    assert len(set(seeds)) == len(seeds) and all(50 < seed < 2**63 for seed in seeds)


def test_each_member_is_recorded_with_a_seed_and_weights_of_its_own(pair: Workspace) -> None:
    first, second = rows(pair, "SELECT member, seed, file, sha256 FROM members ORDER BY member")
    assert rows(pair, "SELECT 0, seed, file, sha256 FROM models") == [first], "models keeps the first"
    assert first[:3] == (0, 0, "rounds/001/model.safetensors")
    assert second[:3] == (1, member_seed(0, 1), "rounds/001/model-1.safetensors")
    assert first[3] != second[3]
    cards = [read_model_card(pair.path / file) for _, _, file, _ in (first, second)]
    assert [card.plan.seed for card in cards] == [first[1], second[1]]
    assert rows(pair, "SELECT epochs, best_epoch, validation_loss FROM members ORDER BY member") == [
        (len(c.history), c.best_epoch + 1, c.history[c.best_epoch].validation_loss.hex()) for c in cards
    ]


def test_member_0_is_the_network_that_would_have_trained_alone(pair: Workspace, tmp_path: Path) -> None:
    job = TrainJob.model_validate_json((pair.round_folder(1) / "attempts/train-01/job.json").read_text())
    changes = {"recipe": job.recipe.model_copy(update={"members": 1}), "folder": tmp_path, "coordinator": os.getpid()}
    run(job.model_copy(update=changes))
    weights, expected = load_file(tmp_path / "model.safetensors"), load_file(pair.round_folder(1) / "model.safetensors")
    assert weights.keys() == expected.keys() and all(torch.equal(weights[name], expected[name]) for name in weights)


def test_the_model_of_another_member_is_refused(copied: Workspace) -> None:
    first, second = members_of(copied, plan_of(copied))
    shutil.copyfile(first.file, second.file)
    with pytest.raises(CatalogueDamaged, match=r"model-1.safetensors was .* another plan .* round 1, network 2 of 2;"):
        train_members(copied, plan_of(copied), Reporter(quiet=True))


def test_a_model_from_before_a_setting_was_added_is_accepted(
    copied: Workspace,
) -> None:
    """An upgrade between training and record: the hash has the new setting, and the card knows nothing of it."""
    first = members_of(copied, plan_of(copied))[0]
    metadata = safe_open(first.file, "pt").metadata()
    card = json.loads(metadata["catbuilder"])
    del card["recipe"]["scoring"]["labelled_features"]
    card["plan"]["recipe_sha256"] = "0" * 64  # as an older catbuilder hashed it
    del card["sha256"]
    weights = load_file(first.file)
    save_file(weights, first.file, {"catbuilder": with_checksum(weights, json.dumps(card))})
    trained = train_members(copied, plan_of(copied), Reporter(quiet=True))
    assert [found.member.number for found in trained] == [0, 1]


# What they say together


def scorers(workspace: Workspace, plan: RoundPlan) -> list[Scorer]:
    scoring = plan.recipe.scoring
    files = [member.file for member in members_of(workspace, plan)]
    return [Scorer(load_model(f)[0], scoring.batch_size, scoring.symmetries, False, False) for f in files]


def entropy(p: np.ndarray) -> np.ndarray:
    return -np.sum(p * np.log(p), axis=-1)


def test_posteriors_are_member_means_and_mutual_information_their_disagreement(pair: Workspace) -> None:
    plan = plan_of(pair)
    manifest = pq.read_table(score_manifest_file(pair, 1)).slice(0, 40)
    reader = StampReader(pair.path, manifest["shard"].to_pylist(), manifest["row"].to_numpy())
    batches = [torch.from_numpy(reader.read(np.arange(i, i + 2))) for i in range(0, 40, 2)]
    alone = np.stack([np.concatenate([s.score(b).posteriors for b in batches]) for s in scorers(pair, plan)])
    scores = pq.read_table(pair.round_folder(1) / "scores" / "scores-00000.parquet").slice(0, 40)
    assert scores["object_id"].equals(manifest["object_id"])
    found = np.stack([scores[f"p_{name}"].to_numpy() for name in CLASSES], 1)
    np.testing.assert_allclose(found, alone.mean(0), atol=2e-7)
    information = scores["mutual_information"].to_numpy()
    assert information.dtype == np.float32 and (information >= 0).all() and information.max() > 0
    np.testing.assert_allclose(information, entropy(alone.mean(0)) - entropy(alone).mean(0), atol=2e-7)


def test_features_are_those_of_the_first_member(pair: Workspace) -> None:
    members = scorers(pair, plan_of(pair))
    stamps = torch.from_numpy(np.stack([draw("spiral", 1)[:64, :64], draw("elliptical", 2)[:64, :64]]))
    together, first, second = (member.score(stamps) for member in (Ensemble(members), *members))
    assert np.array_equal(together.features, first.features)
    assert np.array_equal(together.posteriors, (first.posteriors + second.posteriors) / 2)


def test_the_catalogue_records_the_scores_of_the_shards(pair: Workspace) -> None:
    (shard,) = (pair.round_folder(1) / "scores").glob("scores-*.parquet")
    said = sorted(zip(*(pq.read_table(shard)[n].to_pylist() for n in ("object_id", "mutual_information")), strict=True))
    recorded = rows(pair, "SELECT object_id, mutual_information FROM predictions ORDER BY object_id")
    assert recorded == [(n, value.hex()) for n, value in said] and len(recorded) > 200
    shown = rows(pair, "SELECT count(mutual_information) FROM catalog")
    assert shown == [(len(recorded),)]


def test_a_single_network_has_no_mutual_information() -> None:
    class One(Scorer):
        def __init__(self) -> None:
            self.batch_size, self.device = 1, torch.device("cpu")

        def begin(self, stamps: torch.Tensor) -> PendingScores:
            return PendingScores(torch.tensor([[0.25, 0.75]]), torch.zeros(1, 4))

    assert Ensemble([One()]).score(torch.zeros(1)).mutual_information is None


def test_mutual_information_of_cases_known_by_hand() -> None:
    def of(*members: tuple[float, ...]) -> float:
        return float(mutual_information(np.array(members)[:, None])[0])

    assert of((1.0, 0.0), (0.0, 1.0)) == pytest.approx(np.log(2))
    assert of((0.5, 0.5), (0.5, 0.5), (0.5, 0.5)) == 0.0, "unsure, but of one mind"
    assert of((0.9, 0.1), (0.9, 0.1)) == pytest.approx(0.0, abs=1e-15)
    assert of((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)) == pytest.approx(np.log(3))


@given(arrays(np.float64, st.tuples(st.integers(2, 5), st.just(3), st.integers(2, 4)), elements=st.floats(0, 1)))
def test_mutual_information_lies_between_zero_and_its_bound(votes: np.ndarray) -> None:
    posteriors = (votes + 1e-12) / (votes + 1e-12).sum(2, keepdims=True)
    found = mutual_information(posteriors)
    assert found.shape == (3,) and (found >= 0).all()
    assert (found <= np.log(min(posteriors.shape[0], posteriors.shape[2])) + 1e-9).all()


# What the rest of the house knows of them


def test_why_tells_how_many_networks_voted(pair: Workspace) -> None:
    (told,) = [detail for _, what, detail in why(pair, str(POOL)).events if what == "scored"]
    assert "by the model of round 1 (sha256 " in told and "mean of 2 networks, which disagree by 0." in told


def test_check_compares_every_members_file_with_its_hash(copied: Workspace) -> None:
    assert not [finding for finding in check(copied) if finding.faults]
    with open(copied.round_folder(1) / "model-1.safetensors", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")
    (broken,) = [finding for finding in check(copied) if finding.faults]
    assert broken.faults == ("rounds/001/model-1.safetensors is not the file that was recorded: its hash differs",)


def test_objects_ingested_later_are_scored_by_all_members(copied: Workspace, tmp_path: Path) -> None:
    late = [(Source(POOL + 900 + i, 300 + i, 32.0), draw("spiral", 9000 + i)) for i in range(3)]
    bring_in(copied, tmp_path / "late", "des", late, split="pool")
    assert score(copied) == ScoreReport(1, 3)
    found = rows(
        copied,
        "SELECT model, round, mutual_information FROM predictions WHERE survey = 'des' AND object_id >= ?",
        [POOL + 900],
    )
    assert [(model, number) for model, number, _ in found] == [(1, 2)] * 3
    assert all(float.fromhex(information) >= 0 for _, _, information in found)


# Killed between the members and inside one


def test_a_round_killed_between_and_during_members_ends_the_same(
    small_survey: Path, copy_of: Callable[[Path], Path], recipe: Path, pair: Workspace
) -> None:
    command = CommandLine(copy_of(small_survey), recipe)
    folder = command.workspace / "rounds" / "001"
    round_of_two(recipe, command.workspace, expect=-signal.SIGKILL, CATBUILDER_FAULT="train.after_member")
    assert (folder / "model.safetensors").exists() and not list(folder.glob("attempts/member-1-*"))
    assert rows(command.workspace, "SELECT step FROM steps") == [("planned",)]

    process = command.start(*command.round_arguments(), "--set", "members=2")
    wait_for(lambda: list(folder.glob("attempts/member-1-01/checkpoint-*")), every_s=0.001)
    process.kill()
    process.communicate()
    assert not list(folder.glob("attempts/member-1-01/model.safetensors")), "killed too late to prove anything"

    said = round_of_two(recipe, command.workspace)
    assert "round 1, network 2 of 2: training continues after checkpoint of epoch 001" in said
    assert [len(list(folder.glob(f"attempts/{kind}-*"))) for kind in ("train", "member-1")] == [1, 2]
    assert not list(folder.glob("attempts/*/checkpoint-*"))
    assert_same_contents(command.workspace, contents(pair))
    assert rows(command.workspace, MEMBERS) == rows(pair, MEMBERS)
