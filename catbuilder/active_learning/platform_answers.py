"""Read the answers that Zooniverse and Label Studio export, as rows of a table of labels.

The exports repeat the fields survey and object_id that `platform_subjects` wrote for each object. The answers to one
question count, the latest of each person. The class that more than half of all people mean becomes the label, and its
share the confidence; an object without such a class is rejected, with its votes.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path

from catbuilder.active_learning.answer_meanings import AnswerMeanings
from catbuilder.active_learning.counted_question import (
    ChosenQuestion,
    WantedQuestion,
    choose_question,
    describe_question,
    list_questions,
)
from catbuilder.active_learning.labelstudio_answers import read_rows, read_tasks
from catbuilder.active_learning.majority import AnswerCount, ObjectVotes, count_answers, majority_class
from catbuilder.active_learning.people_answers import PeopleAnswers
from catbuilder.active_learning.platform_layouts import Layout, require_layout
from catbuilder.active_learning.zooniverse_answers import read_classifications
from catbuilder.active_learning.zooniverse_reductions import ANY_OTHER, read_reductions
from catbuilder.active_learning.zooniverse_subjects import read_subjects
from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line
from catbuilder.core.settings import Limits
from catbuilder.core.user_csv import BadValue, CsvRow, CsvRows

_LISTED = 10


@dataclass(frozen=True)
class PlatformLabels:
    """The labels that people's answers give, a row for each object, and what became of the answers.

    Attributes
    ----------
    table : rows with object_id, survey, label, annotator and confidence; and what could not be used
    counted : answers that count
    replaced : answers that the same person has changed later
    passed_over : rows, annotations and answers that say nothing
    unusable : rows that could not be read, and answers that cannot count
    of_other_questions : answers to other tasks or workflows
    undecided : votes on each object without a majority, and what to say of them
    sentences : all this as sentences
    warnings : what a person should look at, a sentence each
    """

    table: CsvRows
    counted: int
    replaced: int
    passed_over: int
    unusable: int
    of_other_questions: int
    undecided: tuple[tuple[ObjectVotes, str], ...]
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]


def read_annotations(
    file: Path,
    layout: Layout,
    meanings: AnswerMeanings,
    limits: Limits,
    *,
    wanted: WantedQuestion | None = None,
    survey: str | None = None,
    subjects: Path | None = None,
    meant: Callable[[Mapping[str, str]], Hashable] | None = None,
) -> PlatformLabels:
    """Read one row per object: object_id, survey, label, annotator and, from several people, confidence.

    Parameters
    ----------
    layout : 'zooniverse', classifications or reductions (CSV); or 'labelstudio', JSON, JSON-MIN, CSV or TSV
    meanings : class of each answer
    wanted : the question that counts; by default the only one whose answers mean a class
    survey : survey of objects that name none
    subjects : Zooniverse's export of subjects, which tells the objects that they show
    meant : tells by the cells `survey` and `object_id` which object an answer is about; by default these two

    Raises
    ------
    InputError
        The file is not of that layout, no answer means a class, or several questions could be meant.
    """
    wanted = wanted or WantedQuestion()
    if layout == "zooniverse":
        found, meanings = _read_zooniverse(file, meanings, limits, survey, subjects)
    else:
        if subjects is not None:
            raise InputError("--subjects is for Zooniverse; Label Studio's tasks name their objects themselves")
        if wanted.workflow is not None or wanted.versions:
            raise InputError("Label Studio has no workflows; name the control that asks the question with --task")
        found = _read_labelstudio(file, meanings, limits, survey, wanted.task)
    if not found.answers:
        unusable = len(found.table.rejections)
        return PlatformLabels(found.table, 0, 0, found.passed_over, unusable, 0, (), (), tuple(found.notes))
    chosen = choose_question(file, found, meanings, wanted)
    count = count_answers(chosen.answers, meanings, *([meant] if meant else ()))
    for answer, reason in count.unusable:
        found.table.reject(answer.row, answer.cells, reason)
    unusable = len(found.table.rejections)
    undecided = []
    for votes in count.objects:
        try:
            found.table.rows.append(CsvRow(votes.row, votes.cells | _label(votes, layout)))
        except BadValue as error:
            found.table.reject(votes.row, votes.cells, str(error))
            undecided.append((votes, str(error)))
    found.table.rows.sort(key=lambda row: row.number)
    found.table.rejections.sort(key=lambda rejection: rejection.row)
    return PlatformLabels(
        found.table,
        count.counted,
        count.replaced,
        count.passed_over + found.passed_over,
        unusable,
        chosen.others.total(),
        tuple(undecided),
        tuple(_sentences(chosen, count, found, unusable)),
        tuple(found.notes + _warnings(chosen, count, meanings)),
    )


def _read_zooniverse(
    file: Path, meanings: AnswerMeanings, limits: Limits, survey: str | None, subjects: Path | None
) -> tuple[PeopleAnswers, AnswerMeanings]:
    content = require_layout(file, "zooniverse")
    objects = None if subjects is None else read_subjects(subjects, limits, survey)
    if content == "reductions":
        slugs = meanings.with_slugs()
        return read_reductions(file, limits, survey, objects), AnswerMeanings(
            {ANY_OTHER: None, **slugs.classes}, slugs.given
        )
    return read_classifications(file, limits, survey, objects), meanings


def _read_labelstudio(
    file: Path, meanings: AnswerMeanings, limits: Limits, survey: str | None, task: str | None
) -> PeopleAnswers:
    content = require_layout(file, "labelstudio")
    read = read_rows if content == "label studio table" else read_tasks
    return read(file, meanings, limits, survey, task)


def _label(votes: ObjectVotes, layout: Layout) -> dict[str, str]:
    """Return label, confidence and annotator of an object by majority vote."""
    label, people = majority_class(votes.votes), votes.votes.total()
    number = votes.votes[label]
    if votes.only_person is not None:
        return {"label": label, "annotator": votes.only_person, "confidence": ""}
    return {"label": label, "annotator": f"{layout}: {number} of {people}", "confidence": f"{number / people}"}


def _sentences(chosen: ChosenQuestion, count: AnswerCount, found: PeopleAnswers, unusable: int) -> list[str]:
    said = [
        f"{count.counted:,} answer{'' if count.counted == 1 else 's'} to {describe_question(chosen.question)} counted"
    ]
    passed_over = count.passed_over + found.passed_over
    said += [f"{count.replaced:,} replaced by a later one of the same person"] if count.replaced else []
    said += [f"{passed_over:,} passed over"] if passed_over else []
    said += [f"{unusable:,} unusable"] if unusable else []
    sentences = [f"{', '.join(said)}."]
    if chosen.others:
        sentences.append(f"Not looked at: {list_questions(chosen.others)}.")
    return sentences


def _warnings(chosen: ChosenQuestion, count: AnswerCount, meanings: AnswerMeanings) -> list[str]:
    said = []
    if count.unknown:
        named = ", ".join(f"'{in_one_line(choice, 60)}' ({n:,})" for choice, n in count.unknown.most_common(_LISTED))
        more = f" and {len(count.unknown) - _LISTED} more" if len(count.unknown) > _LISTED else ""
        said.append(
            f"These answers mean no class, and count against the others: {named}{more}. Map them with --answer "
            "'ANSWER=CLASS', or say that they mean none with --answer 'ANSWER=none'."
        )
    unused = meanings.never_given([choice for answer in chosen.answers for choice in answer.choices])
    if unused:
        named = ", ".join(f"'{in_one_line(answer, 60)}'" for answer in unused[:_LISTED])
        said.append(f"Nobody answered {named}; check that --answer spells it as the file does.")
    return said
