"""Recognise what a file of answers is from its content: which platform's export, or a plain table of labels."""

import csv
from pathlib import Path
from typing import Literal, get_args

from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line
from catbuilder.core.user_csv import list_columns

Layout = Literal["plain", "zooniverse", "labelstudio"]
Content = Literal[
    "plain table", "classifications", "reductions", "extracts", "subjects", "json", "label studio table", "unknown"
]

_LONGEST_HEADER = 1_000_000  # letters
_WHAT_IT_IS: dict[Content, tuple[str, Layout | None, str]] = {
    "plain table": ("a plain table of labels", "plain", "leave out --layout"),
    "classifications": ("Zooniverse's export of classifications", "zooniverse", "give --layout zooniverse"),
    "reductions": ("a table of reductions (votes counted by Zooniverse)", "zooniverse", "give --layout zooniverse"),
    "json": ("JSON, as Label Studio exports it", "labelstudio", "give --layout labelstudio"),
    "label studio table": ("Label Studio's export as a table", "labelstudio", "give --layout labelstudio"),
    "extracts": (
        "a table of extracts, with a row for every answer that panoptes_aggregation has read", None,
        "give the export of classifications, or the reductions, with --layout zooniverse",
    ),
    "subjects": (
        "Zooniverse's export of subjects, which holds no answers", None,
        "give the answers, and this file with --subjects",
    ),
}  # fmt: skip


def parse_layout(text: str) -> Layout:
    """Check the name of a layout given on the command line.

    Raises
    ------
    InputError
        There is no such layout.
    """
    for layout in get_args(Layout):
        if text == layout:
            return layout
    raise InputError(f"there is no layout '{in_one_line(text)}' of labels; use {', '.join(get_args(Layout))}")


def recognise(file: Path) -> Content:
    """Tell what a file holds by its first letters and its header; unknown if it cannot be read."""
    try:
        if not file.is_file():  # a pipe can be read only once
            return "unknown"
        return _content(*read_header(file))
    except (OSError, ValueError, csv.Error):
        return "unknown"


def require_layout(file: Path, layout: Layout) -> Content:
    """Return what the file holds, if it can be of that layout.

    Raises
    ------
    InputError
        It is something else; the message says what, and the layout that reads it.
    """
    content = recognise(file)
    if content == "unknown":
        return _of_that_layout(file, layout)
    what, right, advice = _WHAT_IT_IS[content]
    if right != layout:
        raise InputError(f"{file} is {what}; {advice}")
    return content


def read_header(file: Path) -> tuple[list[str], str]:
    """Read the names of a table's columns and the letter between them; the first name of JSON is its bracket."""
    with open(file, encoding="utf-8-sig", newline="") as lines:
        first = lines.readline(_LONGEST_HEADER)
        while first and not first.strip():
            first = lines.readline(_LONGEST_HEADER)
    if first.lstrip()[:1] in ("[", "{"):
        return [first.lstrip()[:1]], ","
    between = "\t" if first.count("\t") > first.count(",") else ","
    return [name.strip() for name in next(csv.reader([first], delimiter=between), [])], between


def _of_that_layout(file: Path, layout: Layout) -> Content:
    """Take a file that nothing tells for what the user says, or refuse it; its reader says what cannot be read."""
    try:
        columns = read_header(file)[0] if file.is_file() else []
    except (OSError, ValueError, csv.Error):
        columns = []
    if layout == "labelstudio" and "annotator" in {name.lower() for name in columns}:
        return "label studio table"
    if layout == "zooniverse" and any(columns):
        raise InputError(
            f"{file} is no export of Zooniverse: it has neither the columns annotations and subject_data "
            f"(classifications) nor subject_id and data (reductions), but {list_columns(columns)}"
        )
    return "unknown"


def _content(columns: list[str], between: str) -> Content:
    names = {name.lower() for name in columns}
    if names & {"[", "{"}:
        return "json"
    if {"annotations", "subject_data"} <= names:
        return "classifications"
    if len(names & {"annotation_id", "annotator", "lead_time"}) > 1:
        return "label studio table"
    if {"object_id", "label"} <= names and between == ",":
        return "plain table"
    if "subject_id" in names and ("data" in names or any(name.startswith("data.") for name in names)):
        return "extracts" if names & {"extractor", "extractor_key", "classification_id"} else "reductions"
    if {"subject_id", "metadata", "locations"} <= names:
        return "subjects"
    return "unknown"
