"""Tell which tests start processes (workers, servers, browsers), from the code of the test and its fixtures."""

from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

import pytest

# Names whose use starts a process, or a round that does.
STARTERS = {
    "subprocess", "process", "run_process", "peak_of", "start_round", "sync_playwright",
    "run_ranks", "run_all", "run_together", "run_apart", "connected", "after_round", "round_arguments",
    "choose_precision", "NotebookClient",
}  # fmt: skip
FIXTURES = {"catbuilder", "undisturbed", "first_round", "second_round", "without_horovod"}


def starts_processes(item: pytest.Function) -> bool:
    """Look at the test, the fixtures it asks for and the functions of tests/ that they call."""
    if FIXTURES & set(item.fixturenames):
        return True
    fixtures = [found[-1].func for found in item._fixtureinfo.name2fixturedefs.values()]
    seen: set[Any] = set()
    return any(STARTERS & names for function in (item.function, *fixtures) for names in _names(function, seen))


def _names(function: object, seen: set[Any]) -> Iterator[set[str]]:
    """Names that a function uses, then those of the test functions among them."""
    function = getattr(function, "__wrapped__", function)
    if not isinstance(function, FunctionType) or function in seen or "/tests/" not in function.__code__.co_filename:
        return
    seen.add(function)
    names = _used(function.__code__)
    yield names
    for name in names & function.__globals__.keys():
        yield from _names(function.__globals__[name], seen)


def _used(code: CodeType) -> set[str]:
    inner = [_used(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)
