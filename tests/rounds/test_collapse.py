"""A training that ends in one answer for everything: tried again from other seeds, then refused."""

from support.command_line import CommandLine
from support.contents import rows

from catbuilder.catalogue.workspace import Workspace
from catbuilder.inspection.check import check


def test_a_network_that_learns_nothing_is_trained_again_and_then_neither_speaks_nor_promotes(
    catbuilder: CommandLine,
) -> None:
    nothing_learnt = ("--set", "training.learning_rate=1e-12", "--set", "training.tries=2")
    said = catbuilder(*catbuilder.round_arguments(), *nothing_learnt)
    assert said.count("the training collapsed") == 2
    assert said.count("training it again from another seed") == 1
    assert "the model of round 1 does not speak: its training collapsed" in said
    assert rows(catbuilder.workspace, "SELECT collapsed FROM models") == [(True,)]
    assert rows(catbuilder.workspace, "SELECT count(*) FROM labels WHERE source = 'promoted'") == [(0,)]
    attempts = sorted(f.parent.name for f in catbuilder.workspace.glob("rounds/001/attempts/*/train.jsonl"))
    assert attempts == ["train-01", "train-again-1-01"]
    assert not [finding for finding in check(Workspace.open(catbuilder.workspace)) if finding.count]
