"""Tell which class an answer of a volunteer means: `--answer 'Features or disk=spiral'`, or `--answer 'Star=none'`."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line

_NO_CLASS = "none"


@dataclass(frozen=True)
class AnswerMeanings:
    """What each answer means.

    Attributes
    ----------
    classes : class of each answer, by the answer without regard to case and spaces; None where it means no class
    given : answers that were mapped on the command line, by the same key, as they were written
    """

    classes: Mapping[str, str | None]
    given: Mapping[str, str]

    def of(self, choice: str) -> str | None:
        """Return the class that a choice means; None for one that means no class, whether known or unknown."""
        return self.classes.get(plain(choice))

    def knows(self, choice: str) -> bool:
        """Whether the choice is a class, or was mapped."""
        return plain(choice) in self.classes

    def with_slugs(self) -> "AnswerMeanings":
        """Add the short forms in which panoptes_aggregation names its columns: 'Features or disk' as features-or-disk.

        Raises
        ------
        InputError
            Two answers of different meaning have the same short form.
        """
        classes = dict(self.classes)
        for answer, name in self.classes.items():
            if classes.setdefault(_slug(answer), name) != name:
                raise InputError(
                    f"'{in_one_line(answer)}' and another --answer both stand in the column data.{_slug(answer)}, and "
                    "mean different classes; the votes cannot be told apart"
                )
        return AnswerMeanings(classes, self.given)

    def never_given(self, choices: Sequence[str]) -> list[str]:
        """List the answers of the command line that nobody gave."""
        found = {plain(choice) for choice in choices}
        return [answer for key, answer in self.given.items() if not found & {key, _slug(key)}]


def parse_answer_classes(pairs: Sequence[str], classes: Sequence[str]) -> AnswerMeanings:
    """Parse texts like 'Features or disk=spiral' into the class of each answer; each class is its own answer too.

    'Star or artifact=none' says that an answer means no class.

    Raises
    ------
    InputError
        A text is not ANSWER=CLASS, names no class, or an answer is given two meanings.
    """
    meanings: dict[str, str | None] = {plain(name): name for name in classes}
    given: dict[str, str] = {}
    for pair in pairs:
        answer, equals, name = pair.rpartition("=")
        key, name = plain(answer), name.strip()
        if not equals or not key or (name not in classes and name.lower() != _NO_CLASS):
            raise InputError(
                f"'{in_one_line(pair)}' does not map an answer to a class; give ANSWER=CLASS with one of the classes "
                f"{', '.join(classes)}, or ANSWER={_NO_CLASS} if it means no class"
            )
        meaning = name if name in classes else None
        if key in given and meanings[key] != meaning:
            raise InputError(f"--answer gives '{in_one_line(answer)}' two meanings; give it once")
        meanings[key], given[key] = meaning, answer.strip()
    return AnswerMeanings(meanings, given)


def plain(answer: str) -> str:
    """Write an answer without regard to case, spaces, and how its accents are composed."""
    return " ".join(unicodedata.normalize("NFC", answer).split()).casefold()


def _slug(answer: str) -> str:
    letters = unicodedata.normalize("NFKD", answer).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", letters.lower()).strip("-") or answer
