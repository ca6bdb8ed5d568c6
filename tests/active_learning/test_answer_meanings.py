"""What answers mean: --answer 'Features or disk=spiral', or that they mean no class."""

import pytest

from catbuilder.active_learning.answer_meanings import parse_answer_classes
from catbuilder.core.errors import InputError

CLASSES = ("elliptical", "spiral")


def test_answers_match_without_regard_to_case_spaces_and_composition():
    meanings = parse_answer_classes(["Galaxie à  bras = spiral"], CLASSES)
    assert meanings.of("galaxie a\u0300 BRAS") == "spiral" and meanings.of("Elliptical ") == "elliptical"
    assert meanings.of("a star") is None and not meanings.knows("a star")


def test_an_answer_may_contain_an_equals_sign():
    assert parse_answer_classes(["n=4 profile=elliptical"], CLASSES).of("n=4 profile") == "elliptical"


def test_none_says_that_an_answer_means_no_class():
    meanings = parse_answer_classes(["Star=none", "Blob=None"], CLASSES)
    assert meanings.knows("star") and meanings.of("star") is None and meanings.knows("blob")


def test_a_class_of_that_name_comes_first():
    assert parse_answer_classes(["x=none"], ("none", "spiral")).of("x") == "none"


@pytest.mark.parametrize("pair", ["Smooth", "Smooth=round", "=spiral", "Smooth="])
def test_what_maps_no_answer_to_a_class_is_refused(pair):
    with pytest.raises(InputError, match="elliptical, spiral, or ANSWER=none"):
        parse_answer_classes([pair], CLASSES)


def test_two_meanings_of_one_answer_are_refused():
    with pytest.raises(InputError, match="two meanings"):
        parse_answer_classes(["Smooth=elliptical", "smooth=spiral"], CLASSES)
    assert parse_answer_classes(["Smooth=elliptical", "smooth=elliptical"], CLASSES).of("smooth") == "elliptical"


def test_short_forms_are_those_of_panoptes_aggregation():
    meanings = parse_answer_classes(["Features or Disk=spiral", "Don't know=none"], CLASSES).with_slugs()
    assert meanings.of("features-or-disk") == "spiral" and meanings.knows("don-t-know")
    with pytest.raises(InputError, match="cannot be told apart"):
        parse_answer_classes(["Yes!=spiral", "Yes?=elliptical"], CLASSES).with_slugs()


def test_an_answer_that_nobody_gave_is_told():
    meanings = parse_answer_classes(["Smoth=elliptical", "Features or Disk=spiral"], CLASSES)
    assert meanings.never_given(["features-or-disk", "Smooth"]) == ["Smoth"]
