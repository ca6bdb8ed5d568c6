"""Count the latest answer of each person about each object, and take the class that more than half of them mean.

Every usable answer counts, also one that means no class: nine volunteers who say "Star or artifact" outvote one who
says "Features". An answer with several choices counts only if all of them mean the same.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from catbuilder.active_learning.answer_meanings import AnswerMeanings, plain
from catbuilder.active_learning.people_answers import Answer, seconds
from catbuilder.core.safe_text import in_one_line
from catbuilder.core.user_csv import BadValue

_LONGEST_CHOICE = 60
_NAMED_CHOICES = 4


@dataclass
class ObjectVotes:
    """The votes on one object.

    Attributes
    ----------
    row, cells : of its first answer in the file
    votes : number of people, by the class that they mean; None counts those who mean no class
    only_person : name of the only person who answered, or None
    people : names of the people who answered, as far as they have names
    """

    row: int
    cells: dict[str, str]
    votes: Counter[str | None] = field(default_factory=Counter)
    only_person: str | None = None
    people: frozenset[str] = frozenset()


@dataclass
class AnswerCount:
    """What became of the answers to a question: each is in exactly one of the numbers.

    Attributes
    ----------
    objects : votes of each object
    counted : answers that count
    replaced : answers that the same person has changed later
    passed_over : answers without any choice
    unusable : answers that cannot count, and why
    unknown : how many counted answers say what no --answer and no class explains, by what they say
    """

    objects: list[ObjectVotes] = field(default_factory=list)
    counted: int = 0
    replaced: int = 0
    passed_over: int = 0
    unusable: list[tuple[Answer, str]] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)


def count_answers(
    answers: Sequence[Answer],
    meanings: AnswerMeanings,
    meant: Callable[[Mapping[str, str]], Hashable] = lambda cells: (cells["survey"], cells["object_id"]),
) -> AnswerCount:
    """Count the latest answer of each person about each object.

    Parameters
    ----------
    meant : tells by the cells `survey` and `object_id` which object an answer is about
    """
    found = AnswerCount()
    by_object: dict[Hashable, dict[str, list[Answer]]] = {}
    for place, answer in enumerate(answers):
        if not answer.choices:
            found.passed_over += answer.people
            continue
        people = by_object.setdefault(meant(answer.cells), {})
        people.setdefault(answer.person or f"\0{place}", []).append(answer)  # who has no name is never the same
    words: dict[str, str] = {}
    for people in by_object.values():
        latest = [_latest(given) for given in people.values()]
        found.replaced += sum(one.people for given in people.values() for one in given)
        found.replaced -= sum(one.people for one in latest)
        first = next(iter(people.values()))[0]
        votes = ObjectVotes(first.row, first.cells, people=frozenset(one.person for one in latest if one.person))
        for answer in latest:
            try:
                votes.votes[_meaning(answer.choices, meanings)] += answer.people
            except BadValue as error:
                found.unusable.append((answer, str(error)))
                continue
            found.counted += answer.people
            votes.only_person = answer.person or None if votes.votes.total() == 1 else None
            for choice in {words.setdefault(plain(one), one) for one in answer.choices if not meanings.knows(one)}:
                found.unknown[choice] += answer.people
        if votes.votes:
            found.objects.append(votes)
    return found


def majority_class(votes: Mapping[str | None, int]) -> str:
    """Return the class that more than half of all people mean; None counts the people who mean no class.

    Raises
    ------
    BadValue
        There is none; the message tells the votes.
    """
    people = sum(votes.values())
    for name, number in votes.items():
        if name is not None and 2 * number > people:
            return name
    ordered = sorted(votes.items(), key=lambda item: (-item[1], item[0] or ""))
    said = [
        f"{number} {'gave an answer that means no class' if name is None else f'answered {name}'}"
        for name, number in ordered
    ]
    raise BadValue(
        f"of {people} {'person' if people == 1 else 'people'} {', '.join(said)}: there is no majority for a class"
    )


def _latest(given: Sequence[Answer]) -> Answer:
    """Return a person's latest answer: by its time, or the last in the file where a time is missing or equal."""
    times = [seconds(answer.when) for answer in given]
    if any(time is None for time in times):
        return given[-1]
    return max(enumerate(given), key=lambda item: (times[item[0]] or 0.0, item[0]))[1]


def _meaning(choices: Sequence[str], meanings: AnswerMeanings) -> str | None:
    """Return the class that all choices of an answer mean, None where all mean none."""
    meant = {meanings.of(choice) for choice in choices}
    if len(meant) > 1:
        named = " and ".join(f"'{in_one_line(choice, _LONGEST_CHOICE)}'" for choice in choices[:_NAMED_CHOICES])
        more = " and more" if len(choices) > _NAMED_CHOICES else ""
        raise BadValue(f"one answer chooses {named}{more}, which do not mean the same class; it was not counted")
    return next(iter(meant))
