"""Warnings of libraries are looked at: the harmless are dropped by name, each other one is told once."""

import warnings

import pytest

from catbuilder.core.library_warnings import collect_warnings


class CutWarning(UserWarning):
    pass


def test_warnings_are_told_once_and_in_one_line_but_not_the_harmless_ones():
    with collect_warnings(["^CutWarning: spelling"]) as told:
        for text in ("value 3\n clipped", "value 3\n clipped", "another", "spelling of a unit"):
            warnings.warn(text, CutWarning, stacklevel=1)
    assert told == ["CutWarning: value 3 clipped", "CutWarning: another"]


def test_warnings_before_an_error_are_kept():
    with pytest.raises(ValueError, match="x"), collect_warnings([]) as told:
        warnings.warn("before", stacklevel=1)
        raise ValueError("x")
    assert told == ["UserWarning: before"]
