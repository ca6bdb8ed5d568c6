"""Recursion over seeds: copies leave the original alone, killed runs resume, and figures agree with numpy."""

import csv
import dataclasses
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from support.command_line import CommandLine
from support.contents import rows
from support.new_workspace import create_workspace
from support.small_survey import (
    CALIBRATION,
    HP_DES,
    HP_SDSS,
    N_CALIBRATION,
    N_HP,
    N_POOL,
    POOL,
    finish_by_hand,
    write_recipe,
)
from support.workspaces import cli

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import ConfigError, InputError, RoundError, WorkspaceBusy
from catbuilder.core.files import exclusive_lock, sha256_file
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import Recipe, load_recipe
from catbuilder.inspection.check import check
from catbuilder.rounds.experiment import (
    RecursionReport,
    SeedRun,
    compare_with_grey,
    experiment_folder,
    grey_version,
    make_seed_copy,
    make_start_copy,
    run_recursion,
)
from catbuilder.rounds.gains_over_seeds import curves_table, gain_interval, gain_sentences, paired_curves
from catbuilder.rounds.planning import make_plan
from catbuilder.rounds.run import abandon_round

QUIET = Reporter(quiet=True)


@pytest.fixture(scope="session")
def recipe(tiny_recipe: Path) -> Recipe:
    return load_recipe(tiny_recipe)


def posteriors(wrong: Sequence[int]) -> dict[tuple[str, int], float]:
    """Posterior of spiral of every scored object; HP is right but for the members named, the sure ones first."""
    hp = [0.99 - 0.01 * i if (i % 2 == 1) != (i in wrong) else 0.01 + 0.01 * i for i in range(N_HP)]
    scores = {(survey, first + i): hp[i] for survey, first in (("des", HP_DES), ("sdss", HP_SDSS)) for i in range(N_HP)}
    scores |= {("des", CALIBRATION + i): 0.4 for i in range(N_CALIBRATION)}
    return scores | {("des", POOL + i): 0.9 if i % 2 else 0.1 for i in range(N_POOL)}


def round_by_hand(workspace: Workspace, recipe: Recipe, seed: int, wrong: Sequence[int]) -> None:
    """A closed round whose network errs on these members of HP, in both surveys."""
    finish_by_hand(workspace, make_plan(workspace, recipe, 1, seed, QUIET), posteriors(wrong))


def seeds_by_hand(
    workspace: Workspace, recipe: Recipe, folder: Path, errors: Sequence[Sequence[Sequence[int]]]
) -> None:
    """Seeds 0, 1 ... of an experiment, done but for the report; `errors` names what each round of each gets wrong."""
    start = make_start_copy(workspace, recipe, QUIET)
    folder.mkdir(exist_ok=True)
    for seed, each in enumerate(errors):
        copy = make_seed_copy(start, folder, seed)
        for wrong in each:
            round_by_hand(copy, recipe, seed, wrong)


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def state_of(folder: Path) -> dict[str, str]:
    """Hash of every file of a workspace but for its experiments and stamps."""
    files = (path for path in folder.rglob("*") if path.is_file())
    inside = {str(path.relative_to(folder)): path for path in files}
    return {name: sha256_file(path) for name, path in inside.items() if not name.startswith(("experiments", "stamps"))}


ERRORS = ([(0, 1, 2), (0,)], [(3, 4, 5, 6), (3, 4)], [(0, 9, 11), (0, 9, 11)])


@pytest.fixture(scope="module")
def three_seeds(small_survey: Path, tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> Workspace:
    """A workspace with three seeds of two rounds each, not yet compared."""
    workspace = Workspace.open(shutil.copytree(small_survey, tmp_path_factory.mktemp("seeds") / "ws"))
    seeds_by_hand(workspace, recipe, experiment_folder(workspace, recipe), ERRORS)
    return workspace


@pytest.fixture
def three_of_its_own(three_seeds: Workspace, tmp_path: Path) -> Workspace:
    """The same, to be changed."""
    return Workspace.open(shutil.copytree(three_seeds.path, tmp_path / "ws", symlinks=True))


# The whole, as a user runs it


@pytest.mark.slow
def test_killed_seeds_resume_where_they_stopped(catbuilder: CommandLine, tmp_path: Path, workspace: Workspace) -> None:
    catbuilder.recipe = write_recipe(tmp_path / "tiny.toml", batch_size=20, symmetries=1)
    recipe, before = load_recipe(catbuilder.recipe), state_of(workspace.path)
    command = ("experiment", "recursion", "--recipe", catbuilder.recipe, "--rounds", 2, "--seeds")
    catbuilder(*command, 1, expect=-signal.SIGKILL, CATBUILDER_FAULT="evaluate.after_commit")
    folder = experiment_folder(workspace, recipe)
    trained = sha256_file(folder / "seed-00" / "rounds" / "001" / "model.safetensors")
    # the second seed was cut short between its rounds; the first by hand, since a real one takes its time
    round_by_hand(make_seed_copy(Workspace.open(folder / "start"), folder, 1), recipe, 1, (0, 1))
    said = catbuilder(*command, 2)
    assert "round 1 was evaluated but not closed: continuing by its own plan" in said
    assert "seed 1 (2 of 2): 1 rounds to run" in said and "over 2 seeds" in said
    assert sha256_file(folder / "seed-00" / "rounds" / "001" / "model.safetensors") == trained
    for seed in (0, 1):
        copy = Workspace.open(folder / f"seed-{seed:02d}")
        assert rows(copy, "SELECT round, seed, step FROM round_status ORDER BY round") == [
            (1, seed, "closed"), (2, seed, "closed"),
        ]  # fmt: skip
    assert sum(finding.count for finding in check(Workspace.open(folder / "seed-00"))) == 0
    assert state_of(workspace.path) == before
    again = catbuilder(*command, 2)
    assert "rounds to run" not in again and "over 2 seeds" in again


# Copies


def test_the_copy_has_no_promotions_and_the_original_does_not_change(workspace: Workspace, recipe: Recipe) -> None:
    round_by_hand(workspace, recipe, seed=3, wrong=())
    before = state_of(workspace.path)
    start = make_start_copy(workspace, recipe, QUIET)
    copy = make_seed_copy(start, start.path.parent, 7)
    promoted = "SELECT count(*) FROM catalog WHERE source = 'promoted'"
    assert rows(workspace, promoted) == [(12,)] and rows(copy, promoted) == [(0,)]
    round_by_hand(copy, recipe, seed=7, wrong=())
    assert rows(copy, "SELECT round FROM rounds ORDER BY round") == [(1,), (2,)], "the new round has the next number"
    assert (copy.path / "stamps").is_symlink() and not Path((copy.path / "stamps").readlink()).is_absolute()
    assert not (copy.path / "rounds" / "001").exists(), "only models are linked, and this round by hand has none"
    after = state_of(workspace.path)
    assert after == before


def test_a_copy_finds_the_models_of_earlier_rounds_and_passes_its_check(workspace: Workspace, recipe: Recipe) -> None:
    round_by_hand(workspace, recipe, seed=3, wrong=())
    file = workspace.round_folder(1) / "model.safetensors"
    file.write_bytes(b"a network")
    with workspace.recording("by hand") as recording:
        recording.con.execute(
            "UPDATE models SET file = 'rounds/001/model.safetensors', sha256 = ?", [sha256_file(file)]
        )
    start = make_start_copy(workspace, recipe, QUIET)
    copy = make_seed_copy(start, start.path.parent, 0)
    assert (copy.path / "rounds" / "001" / "model.safetensors").is_symlink()
    assert [finding.faults for finding in check(copy) if finding.check in ("models", "stamps")] == [(), ()]


def test_experiments_can_be_a_link_to_another_disk(workspace: Workspace, recipe: Recipe, tmp_path: Path) -> None:
    disk = tmp_path / "another" / "disk" / "far"
    disk.mkdir(parents=True)
    (workspace.path / "experiments").symlink_to(disk)
    start = make_start_copy(workspace, recipe, QUIET)
    copy = make_seed_copy(start, start.path.parent, 0)
    for each in (start, copy):
        assert (each.path / "stamps").resolve() == workspace.path / "stamps"
    assert (disk / experiment_folder(workspace, recipe).name / "seed-00").is_dir()


def test_a_start_copy_that_another_process_made_meanwhile_is_used(workspace: Workspace, recipe: Recipe) -> None:
    start = make_start_copy(workspace, recipe, QUIET).path
    aside, made = start.with_name("aside"), sha256_file(start / "catalog.duckdb")
    start.rename(aside)
    hold = "import duckdb; con = duckdb.connect('catalog.duckdb'); print('held', flush=True); input()"
    holder = [sys.executable, "-c", hold]
    with (
        subprocess.Popen(holder, cwd=workspace.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
        ThreadPoolExecutor(1) as pool,
    ):
        assert process.stdout and process.stdout.readline() == b"held\n"
        second = pool.submit(make_start_copy, workspace, recipe, QUIET)
        time.sleep(0.5)  # it has seen that nothing is there, and waits for the catalogue
        aside.rename(start)
        process.communicate(b"\n")
        assert second.result().path == start
    assert sha256_file(start / "catalog.duckdb") == made


def test_the_accuracy_of_earlier_rounds_of_the_original_does_not_count(workspace: Workspace, recipe: Recipe) -> None:
    round_by_hand(workspace, recipe, seed=3, wrong=range(12))
    folder = experiment_folder(workspace, recipe)
    seeds_by_hand(workspace, recipe, folder, [[(0,), ()]])
    run = run_recursion(workspace, [0], recipe=recipe, reporter=QUIET).seeds[0]
    assert (run.before_round, run.after_round) == (2, 3)
    assert run.accuracy["HP", "des", 1.0] == (1 - 1 / N_HP, 1.0)


def test_a_copy_includes_what_is_still_in_the_write_ahead_log(workspace: Workspace, recipe: Recipe) -> None:
    """After a kill between commit and checkpoint the last recording is in catalog.duckdb.wal alone."""
    killed = (
        "import duckdb, os, signal; con = duckdb.connect('catalog.duckdb'); "
        "con.execute(\"INSERT INTO runs SELECT max(run) + 1, 'killed', '', '', now() FROM runs\"); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", killed], cwd=workspace.path)
    assert (workspace.path / "catalog.duckdb.wal").stat().st_size > 0
    start = make_start_copy(workspace, recipe, QUIET)
    assert rows(start, "SELECT count(*) FROM runs WHERE command = 'killed'") == [(1,)]


def test_an_interrupted_copy_is_made_again(workspace: Workspace, recipe: Recipe) -> None:
    folder = experiment_folder(workspace, recipe)
    draft = folder / ".start.draft"
    draft.mkdir(parents=True)
    (draft / "catalog.duckdb").write_bytes(b"half")
    (draft / "stamps").symlink_to("../../../stamps")
    start = make_start_copy(workspace, recipe, QUIET)
    assert rows(start, "SELECT count(*) > 0 FROM objects") == [(True,)]
    assert not draft.exists() and list((workspace.path / "stamps").iterdir()), "the link went, not what it led to"


def test_the_log_of_a_copy_agrees_with_its_catalogue(workspace: Workspace, recipe: Recipe) -> None:
    start = make_start_copy(workspace, recipe, QUIET)
    last = json.loads((start.path / "log.jsonl").read_text().splitlines()[-1])
    assert rows(start, "SELECT max(run) FROM runs") == [(last["run"],)]
    with start.round_lock(), pytest.raises(WorkspaceBusy), start.round_lock():
        pass


def test_all_seeds_start_from_the_same_catalogue_whatever_was_recorded_since(
    workspace: Workspace, recipe: Recipe, capfd: pytest.CaptureFixture[str]
) -> None:
    start = make_start_copy(workspace, recipe, QUIET)
    with workspace.recording("a note of somebody"):
        pass
    again = make_start_copy(workspace, recipe, Reporter())
    assert rows(again, "SELECT count(*) FROM runs WHERE command = 'a note of somebody'") == [(0,)]
    assert "the workspace has changed since this experiment began (recordings: 1)" in capfd.readouterr().err
    assert start == again


# Refusals


def test_an_unfinished_round_of_the_workspace_is_finished_first(workspace: Workspace, recipe: Recipe) -> None:
    make_plan(workspace, recipe, 1, 0, QUIET)
    with pytest.raises(RoundError, match=r"round 1 of .* is planned, not closed; finish it first with: catbuilder"):
        run_recursion(workspace, [0], recipe=recipe, reporter=QUIET)
    assert not (workspace.path / "experiments").exists()


def test_without_known_classes_a_recursion_is_refused(tmp_path: Path, recipe: Recipe) -> None:
    empty = create_workspace(tmp_path / "ws")
    with pytest.raises(InputError, match=r"no test set of .* has known classes"):
        run_recursion(empty, [0], recipe=recipe, reporter=QUIET)


@pytest.mark.parametrize(("seeds", "rounds"), [([], 2), ([0], 1)])
def test_fewer_than_two_rounds_or_no_seed_is_refused(
    three_seeds: Workspace, recipe: Recipe, seeds: list[int], rounds: int
) -> None:
    with pytest.raises(InputError, match="at least two rounds"):
        run_recursion(three_seeds, seeds, rounds, recipe=recipe, reporter=QUIET)


def test_the_same_experiment_is_not_run_twice_at_once(three_seeds: Workspace, recipe: Recipe) -> None:
    lock = experiment_folder(three_seeds, recipe) / "experiment.lock"
    with exclusive_lock(lock, "test"), pytest.raises(WorkspaceBusy, match="is under way"):
        run_recursion(three_seeds, [0], recipe=recipe, reporter=QUIET)


def test_an_abandoned_round_has_no_accuracy(workspace: Workspace, recipe: Recipe) -> None:
    start = make_start_copy(workspace, recipe, QUIET)
    copy = make_seed_copy(start, start.path.parent, 0)
    make_plan(copy, recipe, 1, 0, QUIET)
    abandon_round(copy)
    with pytest.raises(RoundError, match=r"seed-00 has no accuracy on the test sets; remove that folder"):
        run_recursion(workspace, [0], recipe=recipe, reporter=QUIET)


def test_seeds_with_another_number_of_ranks_are_refused(three_seeds: Workspace, recipe: Recipe) -> None:
    with pytest.raises(RoundError, match=r"seed 0 was trained with --np 1 .* seeds of --np 2; give --np 1, or remove"):
        run_recursion(three_seeds, [7], recipe=recipe, ranks=2, reporter=QUIET)
    assert not (experiment_folder(three_seeds, recipe) / "seed-07").exists()


# What is reported


def test_the_tables_agree_with_numpy_and_a_paired_t_test(three_seeds: Workspace, recipe: Recipe) -> None:
    report = run_recursion(three_seeds, [0, 1, 2], recipe=recipe, reporter=QUIET)
    written = {
        (row["test_set"], row["survey"], float(row["coverage"])): row
        for row in read_csv(report.folder / "recursion-2-rounds.csv")
    }
    before = np.array([1 - len(first) / N_HP for first, _ in ERRORS])
    after = np.array([1 - len(second) / N_HP for _, second in ERRORS])
    interval = stats.ttest_rel(after, before).confidence_interval(0.95)
    expected = {
        "n_seeds": 3, "before_mean": before.mean(), "before_std": before.std(ddof=1), "after_mean": after.mean(),
        "after_std": after.std(ddof=1), "gain_mean": (after - before).mean(), "gain_low": interval.low,
        "gain_high": interval.high,
    }  # fmt: skip
    for survey in ("des", "sdss"):
        row = written["HP", survey, 1.0]
        assert {name: float(row[name]) for name in expected} == pytest.approx(expected)
    assert {test_set for test_set, _, _ in written} == {"HP"}, "the validation set is no test set"
    seeds = read_csv(report.folder / "seeds-2-rounds.csv")
    assert [(row["seed"], row["folder"], row["ended_early"]) for row in seeds] == [
        ("0", "seed-00", "false"), ("1", "seed-01", "false"), ("2", "seed-02", "false"),
    ]  # fmt: skip
    assert [float(row["HP_des_1_after"]) for row in seeds] == pytest.approx(after)
    assert [row["promoted_in_training"] for row in seeds] == ["12"] * 3
    with Image.open(report.folder / "recursion-2-rounds.png") as picture:
        assert picture.width > 800 and len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 50


def test_a_gain_whose_interval_includes_zero_is_not_resolved(three_of_its_own: Workspace, recipe: Recipe) -> None:
    all_three = run_recursion(three_of_its_own, [2, 0, 1], recipe=recipe, reporter=QUIET)
    shutil.rmtree(all_three.folder / "seed-02")
    both = run_recursion(three_of_its_own, [0, 1], recipe=recipe, reporter=QUIET).sentences()
    assert any(
        line.startswith("HP of des, all: 85.42 % before, 93.75 % after; a gain of +8.33 points") for line in both
    )
    assert any(
        "HP of des, all" in line and "is not resolved" in line and "includes 0" in line
        for line in all_three.sentences()
    )


def test_a_later_call_still_reports_all_finished_seeds(three_of_its_own: Workspace, recipe: Recipe) -> None:
    report = run_recursion(three_of_its_own, [1], recipe=recipe, reporter=QUIET)
    assert [run.seed for run in report.seeds] == [0, 1, 2]
    before = (report.folder / "recursion-2-rounds.csv").read_bytes()
    round_by_hand(Workspace.open(report.folder / "seed-02"), recipe, 2, ())
    longer = run_recursion(three_of_its_own, [2], 3, recipe=recipe, reporter=QUIET)
    assert [(run.seed, run.after_round) for run in longer.seeds] == [(2, 3)]
    assert read_csv(report.folder / "seeds-3-rounds.csv")[0]["after_round"] == "3"
    assert (report.folder / "recursion-2-rounds.csv").read_bytes() == before
    again = run_recursion(three_of_its_own, [0], recipe=recipe, reporter=QUIET)
    assert (again.folder / "recursion-2-rounds.csv").read_bytes() == before, "the third round of seed 2 does not count"


def test_one_seed_has_no_interval_and_says_so(workspace: Workspace, recipe: Recipe) -> None:
    seeds_by_hand(workspace, recipe, experiment_folder(workspace, recipe), ERRORS[:1])
    report = run_recursion(workspace, [0], recipe=recipe, reporter=QUIET)
    assert report.table["gain_low"].null_count == report.table.num_rows
    row = read_csv(report.folder / "recursion-2-rounds.csv")[0]
    assert row["gain_low"] == row["gain_high"] == row["before_std"] == "" and row["n_seeds"] == "1"
    assert report.sentences()[-1].startswith("This is one seed: intervals need two or more")


def test_json_output_has_only_the_table_and_sentences_go_to_stderr(three_seeds: Workspace, tiny_recipe: Path) -> None:
    done = cli(
        "-w", three_seeds.path, "experiment", "recursion", "--seeds", 3, "--recipe", tiny_recipe, "--format", "csv"
    )
    found = list(csv.DictReader(done.out.splitlines()))
    assert done.code == 0 and [(row["survey"], row["coverage"]) for row in found] == [
        ("des", "0.5"), ("des", "1"), ("sdss", "0.5"), ("sdss", "1"),
    ]  # fmt: skip
    assert "HP of des, surest half" in done.err and "recursion-2-rounds.png" in done.err


def test_the_last_round_of_a_run_that_ended_early_counts_as_after(workspace: Workspace, recipe: Recipe) -> None:
    start = make_start_copy(workspace, recipe, QUIET)
    copy = make_seed_copy(start, start.path.parent, 0)
    round_by_hand(copy, recipe, 0, (0, 1))
    round_by_hand(copy, recipe, 0, (0,))
    with copy.recording("by hand") as recording:
        details = json.dumps({"promoted": {}, "retracted": 0})
        recording.con.execute("UPDATE steps SET details = ? WHERE round = 2 AND step = 'decided'", [details])
    report = run_recursion(workspace, [0], 2, recipe=recipe, reporter=QUIET)
    assert not report.seeds[0].ended_early, "it has run as many rounds as were asked for"
    longer = run_recursion(workspace, [0], 4, recipe=recipe, reporter=QUIET)
    assert longer.seeds[0].ended_early and longer.seeds[0].after_round == 2
    assert "The runs of seed 0 (round 2) ended early" in " ".join(longer.sentences())


def test_colour_is_compared_with_grey_seed_by_seed(three_seeds: Workspace, recipe: Recipe) -> None:
    folder, grey_recipe = experiment_folder(three_seeds, recipe), grey_version(recipe)
    start = make_start_copy(three_seeds, recipe, QUIET)
    (folder / "grey").mkdir()
    for seed, wrong in enumerate([(0, 1, 2), (0, 1)]):
        copy = make_seed_copy(start, folder / "grey", seed)
        round_by_hand(copy, grey_recipe, seed, ())
        round_by_hand(copy, grey_recipe, seed, wrong)
    report = compare_with_grey(three_seeds, [0, 1], recipe=recipe, reporter=QUIET)
    assert [run.seed for run in report.seeds] == [0, 1], "the colour seed 2 has no grey one beside it"
    row = next(
        row for row in read_csv(folder / "grey-2-rounds.csv") if row["coverage"] == "1" and row["survey"] == "des"
    )
    assert float(row["grey_mean"]) == pytest.approx(1 - 2.5 / N_HP)
    assert float(row["colour_mean"]) == pytest.approx(1 - 1.5 / N_HP)
    assert float(row["gain_mean"]) == pytest.approx(1 / N_HP)
    assert any("grey" in line and "colour" in line for line in report.sentences())
    assert {path.name for path in folder.glob("*.png")} == {"recursion-2-rounds.png", "grey-2-rounds.png"}
    assert report.seeds_file == folder / "grey" / "seeds-2-rounds.csv"
    assert [row["seed"] for row in read_csv(report.seeds_file)] == ["0", "1"]
    with pytest.raises(ConfigError, match=r"network.grey = true already"):
        grey_version(grey_recipe)


def test_seeds_that_ended_early_are_listed_for_grey_and_colour() -> None:
    runs = [SeedRun(seed, Path(), 1, 2, seed == 3, 0, {("HP", "des", 1.0): (0.5, 0.75)}) for seed in (3, 4)]
    others = [dataclasses.replace(run, ended_early=run.seed == 4) for run in runs]
    curves = paired_curves([run.accuracy for run in runs])
    report = RecursionReport(
        Path(), "grey-3-rounds", ("grey", "colour"), tuple(runs), Path(), tuple(curves), tuple(others)
    )
    assert [line.split(" ended early")[0] for line in report.sentences() if "ended early" in line] == [
        "The grey runs of seed 3 (round 2)", "The colour runs of seed 4 (round 2)",
    ]  # fmt: skip


def test_the_interval_is_that_of_the_differences_and_not_of_the_means() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(0.9, 0.05, (10, 1))
    gain = rng.normal(0.01, 0.002, (10, 1))
    points = [{("HP", "des", 1.0): (float(a), float(a + g))} for (a,), (g,) in zip(first, gain, strict=True)]
    (curve,) = paired_curves(points)
    mean, low, high = gain_interval(curve.gain)
    expected = stats.ttest_1samp(gain[:, 0], 0).confidence_interval(0.95)
    assert (low[0], mean[0], high[0]) == pytest.approx((expected.low, gain.mean(), expected.high))
    assert low[0] > 0, "the seeds differ by five points, and a gain of one is still resolved"


def test_equal_states_get_no_interval() -> None:
    seeds = [{("HP", "des", 1.0): (accuracy, accuracy)} for accuracy in (0.875, 1.0)]
    table = curves_table(paired_curves(seeds), ("grey", "colour"))
    assert gain_sentences(table, ("grey", "colour")) == [
        "HP of des, all: 93.75 % grey, 93.75 % colour; equal in each of 2 seeds."
    ]


def test_seeds_are_compared_at_the_coverages_that_all_of_them_have() -> None:
    seeds: list[dict[Any, tuple[float, float]]] = [
        {("HP", "des", c): (0.9, 0.9) for c in (0.25, 0.5, 1.0)}, {("HP", "des", c): (0.8, 0.9) for c in (0.5, 1.0)},
    ]  # fmt: skip
    assert paired_curves(seeds)[0].coverage.tolist() == [0.5, 1.0]
