"""Look at the warnings of libraries: those known to be harmless are dropped, the others become sentences for the user.

A library warns where it repaired a file, and a repair may be a guess: astropy clips an integer that does not fit its
type, or ignores a TNULL. So no warning is ignored as a whole.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from catbuilder.core.safe_text import in_one_line

_LONGEST = 300  # letters of a warning that are told


@contextmanager
def collect_warnings(harmless: Sequence[str]) -> Iterator[list[str]]:
    """Collect the warnings of the body, each text once, without those that match a pattern of `harmless`.

    Parameters
    ----------
    harmless : regular expressions, searched for in "CLASS: TEXT"

    Yields
    ------
    A list that is filled when the body ends, also by an error.
    """
    told: list[str] = []
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        try:
            yield told
        finally:
            texts = [in_one_line(f"{warning.category.__name__}: {warning.message}", _LONGEST) for warning in raised]
            told += dict.fromkeys(text for text in texts if not any(re.search(one, text) for one in harmless))
