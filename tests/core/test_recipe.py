"""Keys of a recipe changed for one run: `load_recipe(name, changes)` and `catbuilder round --set`."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.new_workspace import create_workspace
from support.small_survey import write_recipe
from support.workspaces import cli, failed

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import ConfigError, InputError
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import load_recipe, load_round_recipe
from catbuilder.rounds.planning import make_plan
from catbuilder.rounds.run import run_rounds


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe") / "tiny.toml")


def test_a_change_is_put_in_the_files_place_and_all_else_stays(tiny: Path) -> None:
    before, after = load_recipe(tiny), load_recipe(tiny, ["promotion.policy=certified", "members=3"])
    assert (after.promotion.policy, after.members) == ("certified", 3)
    promotion = before.promotion.model_copy(update={"policy": "certified"})
    assert after == before.model_copy(update={"promotion": promotion, "members": 3})
    assert after.name == before.name and after.sha256 != before.sha256


def test_a_change_to_what_stands_already_gives_the_recipes_own_hash(tiny: Path) -> None:
    assert (
        load_recipe(tiny, ["promotion.per_class=6"]).sha256 == load_recipe(tiny, []).sha256 == load_recipe(tiny).sha256
    )


def test_a_section_that_the_file_leaves_out_may_be_changed(tiny: Path) -> None:
    assert "[certificate]" not in tiny.read_text()
    assert load_recipe(tiny, ["certificate.alpha=0.1"]).certificate.alpha == 0.1


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("network.grey=true", lambda r: r.network.grey is True),
        ("training.learning_rate=1e-3", lambda r: r.training.learning_rate == 1e-3),
        ('description="with a # in it"', lambda r: r.description == "with a # in it"),
        ("description=a = b", lambda r: r.description == "a = b"),
        ("description=", lambda r: r.description == ""),
        ("network.weights=file:a/b.safetensors", lambda r: r.network.weights == "file:a/b.safetensors"),
        (" promotion.floor = 0.25 ", lambda r: r.promotion.floor == 0.25),
        ("sets.cuts.elliptical=0.8", lambda r: r.sets.cuts == {"elliptical": 0.8, "spiral": 0.985}),
        ("sets.cuts={spiral = 0.9}", lambda r: r.sets.cuts == {"spiral": 0.9}),
        ("training.stages.0.epochs=7", lambda r: [s.epochs for s in r.training.stages] == [7]),
        (
            'training.stages=[{epochs = 1, train_from = "head"}, {epochs = 2, train_from = "all"}]',
            lambda r: [s.epochs for s in r.training.stages] == [1, 2],
        ),
    ],
)
def test_values_are_toml_or_text_as_it_stands(tiny: Path, change: str, found) -> None:
    assert found(load_recipe(tiny, [change]))


def test_the_later_of_two_changes_of_one_key_holds(tiny: Path) -> None:
    assert load_recipe(tiny, ["members=2", "members=4"]).members == 4


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30))
def test_any_text_in_quotes_arrives_as_it_is(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert load_recipe("demo", [f'description="{quoted}"']).description == text


@given(st.text(max_size=30))
def test_a_change_touches_its_own_key_alone_or_is_refused(text: str) -> None:
    """Also text that TOML would read as several lines."""
    before = load_recipe("demo")
    try:
        after = load_recipe("demo", [f"description={text}"])
    except ConfigError:
        return
    assert after == before.model_copy(update={"description": after.description})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("promotion.perclass=3", "unknown key 'promotion.perclass' (did you mean 'per_class'?)"),
        ("promotoin.per_class=3", "unknown key 'promotoin' (did you mean 'promotion'?)"),
        ("member=3", "unknown key 'member' (did you mean 'members'?)"),
        ("members=0", "'members' is 0"),
        ("members=three", "'members' is 'three'"),
        ("promotion.policy=certain", "'promotion.policy' is 'certain'"),
        ("certificate.alpha=2", "'certificate.alpha' is 2"),
        ("training.learning_rate=inf", "'training.learning_rate' is inf"),
        ("training.weight_decay=nan", "'training.weight_decay' is nan"),
        ("augmentation.noise=1e999", "'augmentation.noise' is inf"),
        ("sets.cuts.spiral=inf", "'sets.cuts.spiral' is inf"),
        ("sets.cuts.spiral.high=1", "'sets.cuts.spiral' is 0.985, which has no keys"),
        ("members", "'members' is not KEY=VALUE"),
        ("=3", "'=3' is not KEY=VALUE"),
        ("network..grey=true", "is not KEY=VALUE"),
        ("name.first=x", "'name' is 'tiny', which has no keys"),
        ("training.stages.4.epochs=1", "names no item '4'; the recipe has 1 there"),
        ("training.stages.last=1", "names no item 'last'"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_in_one_sentence(tiny: Path, change: str, words: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_recipe(tiny, [change])
    assert words in str(refusal.value) and change in str(refusal.value)


@pytest.mark.parametrize(
    "change", ["sets.labelled=hsc", "sets.cuts.spiral=0.9", "sets.calibration=0.5", "sets={target = 'hsc'}"]
)
@pytest.mark.parametrize("verb", [("round",), ("experiment", "recursion")])
def test_what_only_assemble_reads_is_not_taken_by_a_round(
    tmp_path: Path, tiny: Path, verb: tuple[str, ...], change: str
) -> None:
    workspace = create_workspace(tmp_path / "ws", ("elliptical", "spiral"), 64)
    refused = cli("-w", workspace.path, *verb, "--recipe", tiny, "--set", change)
    failed(refused, f"'{change}' would have no effect", "target and population", "catbuilder assemble --recipe")


def test_what_a_round_reads_of_the_sets_may_be_changed_for_it(tiny: Path) -> None:
    sets = load_round_recipe(tiny, ["sets.target=hsc", "sets.population=hsc.sql"]).sets
    assert (sets.target, sets.population) == ("hsc", "hsc.sql")


def test_two_recipes_differ_in_the_keys_that_were_changed(tiny: Path) -> None:
    before, changes = load_recipe(tiny), ["members=3", "sets.cuts.spiral=0.9", "training.stages.0.epochs=9"]
    assert before.differing_keys(before) == []
    assert set(before.differing_keys(load_recipe(tiny, changes))) == {"members", "sets.cuts.spiral", "training.stages"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["members=2"], "with recipe tiny (differs now: members), --np 1 and --seed 0; your settings apply"),
        (
            ["members=2", "network.grey=true", "promotion.floor=0.1", "promotion.per_class=1", "scoring.batch_size=3"],
            "(differs now: members, network.grey, scoring.batch_size and 2 more), --np 1",
        ),
    ],
)
def test_a_round_that_goes_on_by_its_own_plan_says_which_keys_are_other_than_asked_for(
    workspace: Workspace, tiny: Path, changes: list[str], words: str
) -> None:
    make_plan(workspace, load_recipe(tiny), 1, 0, Reporter(quiet=True))
    (workspace.path / "stamps").rename(workspace.path / "elsewhere")  # ends the round before anything is trained
    said = cli("-w", workspace.path, "round", "--recipe", tiny, *(word for c in changes for word in ("--set", c)))
    assert said.code == 1 and words in said.err


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_cannot_be_recorded_is_refused(tmp_path: Path, tiny: Path, seed: int) -> None:
    workspace = create_workspace(tmp_path / "ws")
    done = cli("-w", workspace.path, "round", "--recipe", tiny, "--seed", seed)
    assert done.code == 2 and "Invalid value for '--seed'" in done.err
    with pytest.raises(InputError, match=rf"the seed {seed} cannot be recorded; give a whole number from 0 to"):
        run_rounds(workspace, 1, load_recipe(tiny), seed=seed)


def test_the_command_line_takes_several_and_names_file_and_change_in_its_one_line(tmp_path: Path, tiny: Path) -> None:
    workspace = create_workspace(tmp_path / "ws", ("elliptical", "spiral"), 64)
    round_ = ("-w", workspace.path, "round", "--recipe", tiny, "--set", "members=2")
    failed(
        cli(*round_, "--set", "promotion.perclass=3"), "tiny.toml, changed by members=2 and promotion.perclass=3", "did"
    )
    assert "no elliptical and no spiral has a label" in cli(*round_).err, "the change was taken: the round begins"
