"""Choose the one question of a decision tree whose answers become labels.

"Yes" means one thing under "Is it edge-on?" and another under "Are there spiral arms?", so the answers of one task of
one workflow count, and no others. Where several could be meant, the user has to name one.
"""

import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from catbuilder.active_learning.answer_meanings import AnswerMeanings, plain
from catbuilder.active_learning.people_answers import Answer, PeopleAnswers, Question
from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line

_LISTED = 12
_LONGEST = 60


@dataclass(frozen=True)
class WantedQuestion:
    """The question that the user names: --task, --workflow and --workflow-version."""

    task: str | None = None
    workflow: str | None = None
    versions: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChosenQuestion:
    """A question, its answers, and the others of the file, each with its number of answers."""

    question: Question
    answers: list[Answer]
    others: Counter[Question]


def choose_question(
    file: Path, found: PeopleAnswers, meanings: AnswerMeanings, wanted: WantedQuestion
) -> ChosenQuestion:
    """Choose the question that is named, or the only one with answers that mean a class.

    Raises
    ------
    InputError
        Nothing of that name is in the file, no answer means a class, or several questions could be meant.
    """
    answers = _under_one_text(found.answers)
    left = answers
    choices: list[tuple[str, str, Callable[[Answer], bool]]] = []
    if wanted.workflow is not None:
        workflow = wanted.workflow.strip()
        choices.append(("workflow", workflow, lambda answer: answer.question.workflow == workflow))
    if wanted.versions:
        listed = ", ".join(wanted.versions)
        choices.append(("workflow version", listed, lambda answer: _is_version(answer.version, wanted.versions)))
    if wanted.task is not None:
        task = plain(wanted.task)
        choices.append(("task", wanted.task, lambda answer: plain(answer.question.task) == task))
    for what, name, fits in choices:
        kept = [answer for answer in left if fits(answer)]
        if not kept:
            raise InputError(
                f"{file} has no answers of {what} {in_one_line(name, _LONGEST)}; it has {_list(_count(left), left)}"
            )
        left = kept
    counts = _count(left)
    if not counts:
        raise InputError(f"{file} has no answers to any question; give an export that has some")
    meant = _count([answer for answer in left if any(meanings.of(choice) for choice in answer.choices)])
    if meant:
        meant += _like(meant, left, found.likely_tasks)
    else:
        meant = _count([answer for answer in left if any(meanings.knows(choice) for choice in answer.choices)])
    if not meant:
        raise InputError(
            f"no answer in {file} means a class: {_list_choices(left)}; map answers to classes with --answer "
            "'ANSWER=CLASS'"
        )
    if len(meant) > 1:
        rivals = Counter({question: counts[question] for question in meant})
        raise InputError(
            f"{file} has answers to several questions that could be meant: {_list(rivals, left)}; name one, such as "
            f"with {_options(rivals, left)}"
        )
    question = next(iter(meant))
    ours = [answer for answer in left if answer.question == question]
    others = _count(answers)
    others[question] -= sum(answer.people for answer in ours)
    return ChosenQuestion(question, ours, +others)


def describe_question(question: Question) -> str:
    """Name a question for a person: task T0 'Smooth?' of workflow 17."""
    text = f" '{in_one_line(question.text, _LONGEST)}'" if question.text else ""
    workflow = f" of workflow {in_one_line(question.workflow, _LONGEST)}" if question.workflow else ""
    return f"task {in_one_line(question.task, _LONGEST) or 'without a name'}{text}{workflow}"


def list_questions(counts: Counter[Question]) -> str:
    """List questions with their numbers of answers, the most answered first."""
    return _list(counts, ())


def _like(meant: Counter[Question], answers: Sequence[Answer], likely_tasks: frozenset[str]) -> Counter[Question]:
    """Find further questions that could be meant: of a usual name, or all of whose answers a meant one has too."""
    said: dict[Question, set[str]] = {}
    for answer in answers:
        said.setdefault(answer.question, set()).update(plain(choice) for choice in answer.choices)
    others = {
        question: 1
        for question, words in said.items()
        if words and (question.task.lower() in likely_tasks or any(words <= said[one] for one in meant))
    }
    return Counter(others)


def _under_one_text(answers: Sequence[Answer]) -> list[Answer]:
    """Give answers whose export leaves out the words of the question the only words that the task has elsewhere."""
    texts: dict[tuple[str, str], set[str]] = {}
    for answer in answers:
        texts.setdefault(answer.question[:2], set()).add(answer.question.text)
    only = {key: max(found) for key, found in texts.items() if len(found) == 2 and "" in found}
    if not only:
        return list(answers)
    return [
        replace(answer, question=answer.question._replace(text=only[answer.question[:2]]))
        if not answer.question.text and answer.question[:2] in only
        else answer
        for answer in answers
    ]


def _count(answers: Sequence[Answer]) -> Counter[Question]:
    counts: Counter[Question] = Counter()
    for answer in answers:
        counts[answer.question] += answer.people
    return counts


def _is_version(version: str, wanted: Sequence[str]) -> bool:
    """Whether it is one of the versions; 5 stands for 5.1, 5.2 and so on."""
    return any(version == one.strip() or version.startswith(f"{one.strip()}.") for one in wanted)


def _list(counts: Counter[Question], answers: Sequence[Answer]) -> str:
    """List questions; where the words alone tell two apart, with their versions."""
    same = Counter(question[:2] for question in counts)
    said = []
    for question, number in counts.most_common(_LISTED):
        versions = _versions(question, answers) if same[question[:2]] > 1 else []
        of = f", version {' and '.join(versions)}" if versions else ""
        said.append(f"{describe_question(question)}{of} ({number:,} answer{'' if number == 1 else 's'})")
    more = [f"and {len(counts) - _LISTED} more"] if len(counts) > _LISTED else []
    return ", ".join([*said, *more])


def _list_choices(answers: Sequence[Answer]) -> str:
    said: Counter[tuple[str, str]] = Counter()
    for answer in answers:
        for choice in set(answer.choices):
            said[answer.question.task, choice] += answer.people
    if not said:
        return "none is in words"
    named = [
        f"task {in_one_line(task, _LONGEST)} '{in_one_line(choice, _LONGEST)}' ({number:,})"
        for (task, choice), number in said.most_common(_LISTED)
    ]
    return ", ".join(named) + (f" and {len(said) - _LISTED} more" if len(said) > _LISTED else "")


def _options(rivals: Counter[Question], answers: Sequence[Answer]) -> str:
    """Name the options that choose the most answered of several questions."""
    first = max(rivals, key=lambda question: rivals[question])
    options = []
    if len({question.task for question in rivals}) > 1:
        options.append(f"--task {shlex.quote(in_one_line(first.task, _LONGEST))}")
    if len({question.workflow for question in rivals}) > 1:
        options.append(f"--workflow {shlex.quote(in_one_line(first.workflow, _LONGEST))}")
    if not options:
        versions = _versions(first, answers) or ["VERSION"]
        options += [f"--workflow-version {version}" for version in versions]
    return " ".join(options)


def _versions(question: Question, answers: Sequence[Answer]) -> list[str]:
    found = sorted({answer.version for answer in answers if answer.question == question and answer.version})
    return [in_one_line(version, _LONGEST) for version in found[:_LISTED]]
