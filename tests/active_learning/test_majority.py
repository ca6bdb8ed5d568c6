"""The latest answer of each person counts, and a class needs more than half of all of them."""

import pytest

from catbuilder.active_learning.answer_meanings import parse_answer_classes
from catbuilder.active_learning.majority import count_answers, majority_class
from catbuilder.active_learning.people_answers import Answer, Question, seconds
from catbuilder.core.user_csv import BadValue

CLASSES = ("elliptical", "spiral")
MEANINGS = parse_answer_classes(["Features=spiral", "Arms=spiral", "Smooth=elliptical", "Star=none"], CLASSES)
WHAT = Question("1", "T0", "What is it?")
CELLS = {"survey": "des", "object_id": "7"}


def said(person: str, *choices: str, when: str = "", people: int = 1) -> Answer:
    return Answer(2, CELLS, WHAT, person, choices, when, people=people)


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        ({"spiral": 1}, "spiral"),
        ({"spiral": 2, "elliptical": 1}, "spiral"),
        ({"spiral": 6, None: 5}, "spiral"),
        ({None: 1, "elliptical": 2}, "elliptical"),
    ],
)
def test_more_than_half_is_a_majority(votes, label):
    assert majority_class(votes) == label


@pytest.mark.parametrize(
    ("votes", "words"),
    [
        ({"spiral": 1, None: 9}, "of 10 people 9 gave an answer that means no class, 1 answered spiral"),
        (
            {"spiral": 4, "elliptical": 3, None: 3},
            "of 10 people 4 answered spiral, 3 gave an answer that means no class",
        ),
        ({"spiral": 2, "elliptical": 2}, "of 4 people 2 answered elliptical, 2 answered spiral"),
        ({"spiral": 5, None: 5}, "5 answered spiral"),
        ({None: 1}, "of 1 person 1 gave an answer that means no class"),
    ],
)
def test_ties_and_minorities_give_no_label_and_say_the_votes(votes, words):
    with pytest.raises(BadValue, match="there is no majority for a class") as refused:
        majority_class(votes)
    assert words in str(refused.value)


def test_several_choices_count_only_if_they_mean_the_same():
    count = count_answers([said("ann", "Features", "Arms"), said("bob", "Features", "Smooth")], MEANINGS)
    assert count.counted == 1 and dict(count.objects[0].votes) == {"spiral": 1}
    ((answer, reason),) = count.unusable
    assert answer.person == "bob" and "'Features' and 'Smooth', which do not mean the same class" in reason


def test_a_class_beside_a_choice_without_one_is_no_answer():
    count = count_answers([said("ann", "Features", "Star"), said("bob", "Star", "Unsure")], MEANINGS)
    assert len(count.unusable) == 1 and dict(count.objects[0].votes) == {None: 1}


def test_unknown_answers_are_counted_under_the_words_of_the_first():
    count = count_answers([said("ann", "A ring"), said("bob", " a  RING"), said("cy", "Star")], MEANINGS)
    assert dict(count.unknown) == {"A ring": 2} and dict(count.objects[0].votes) == {None: 3}


@pytest.mark.parametrize(
    ("first", "second", "label"),
    [
        ("2026-11-20 10:00:00 UTC", "2026-11-20 09:00:00 UTC", "spiral"),  # the file is not in order of time
        ("2026-11-20 10:00:00 UTC", "2026-11-20 10:00:00 UTC", "elliptical"),
        ("2026-11-20 10:00:00 UTC", "", "elliptical"),
        ("2026-11-20T10:00:00.5Z", "2026-11-20T11:00:00.2+02:00", "spiral"),
    ],
)
def test_the_latest_answer_of_a_person_counts(first, second, label):
    count = count_answers([said("ann", "Features", when=first), said("ann", "Smooth", when=second)], MEANINGS)
    assert dict(count.objects[0].votes) == {label: 1} and count.replaced == 1 and count.counted == 1


def test_a_later_answer_that_is_unusable_withdraws_the_earlier_and_one_passed_over_does_not():
    both = count_answers([said("ann", "Features"), said("ann", "Features", "Smooth")], MEANINGS)
    assert both.objects == [] and (both.replaced, len(both.unusable)) == (1, 1)
    skipped = count_answers([said("ann", "Features"), said("ann")], MEANINGS)
    assert dict(skipped.objects[0].votes) == {"spiral": 1} and skipped.passed_over == 1


def test_who_has_no_name_is_never_the_same_person():
    count = count_answers(
        [said("", "Features", people=3), said("", "Features", people=2), said("", "Smooth")], MEANINGS
    )
    assert dict(count.objects[0].votes) == {"spiral": 5, "elliptical": 1} and count.counted == 6
    assert count.objects[0].only_person is None


def test_times_that_nobody_can_read_are_none():
    assert seconds("yesterday") is None and seconds("") is None and seconds("9999-99-99") is None
    assert seconds("1970-01-01 00:00:01 UTC") == 1.0
