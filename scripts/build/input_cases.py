"""List the corpus of inputs in tests/cases for docs/input.md: how many cases each reader has, and each case."""

import ast
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from support.cases import CASES, KINDS, read_case

_BEGIN, _END = "<!-- Written by scripts/build/make_docs.py from tests/cases: -->", "<!-- end -->"


def with_cases(page: Path) -> str:
    """Give the text of a page with the lists of cases between its two marks written anew."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n\n{_matrix()}\n\n{_lists()}\n{_END}{after}"


def _matrix() -> str:
    """Write a table of the number of cases: a row for each reader or verb, a column for each kind."""
    counts: Counter[tuple[str, str]] = Counter()
    for case in CASES:
        counts.update((reader, read_case(case)["kind"]) for reader in _readers(read_case(case)))
    readers = sorted({reader for reader, _ in counts}, key=str.lower)
    rows = [[reader, *(str(counts[reader, kind] or "") for kind in KINDS)] for reader in readers]
    return "\n".join([f"| reader or verb | {' | '.join(KINDS)} |", "|---|" + "---:|" * len(KINDS), *map(_row, rows)])


def _lists() -> str:
    """Write a table of the cases of each kind: situation, readers, source."""
    parts = []
    for kind, title in KINDS.items():
        parts += [f"### {title} (`{kind}`)\n", "| situation | tried on | source |", "|---|---|---|"]
        for case in CASES:
            expected = read_case(case)
            if expected["kind"] == kind:
                lists = (_readers(expected), _several(expected["source"]))
                parts.append(_row([_situation(case), *(", ".join(names) for names in lists)]))
        parts.append("")
    return "\n".join(parts)


def _situation(case: Path) -> str:
    """Read the docstring of a case's generator."""
    text = ast.get_docstring(ast.parse((case / "make_input.py").read_text(encoding="utf-8"))) or case.name
    return " ".join(text.split())


def _readers(case: dict[str, Any]) -> list[str]:
    return [name.strip() for text in _several(case["reader"]) for name in text.split(",")]


def _several(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"
