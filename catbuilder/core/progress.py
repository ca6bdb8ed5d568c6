"""Show messages and progress bars on standard error: bars on a terminal, plain lines elsewhere, or nothing."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console

Update = Callable[[int, int], None]  # reports progress: (done, of)

_LINE_EVERY_S = 60.0  # where there is no terminal, as in the log of a batch job


class Reporter:
    """Show messages and progress bars on standard error; standard output is for results.

    Library functions take one as `reporter` and are silent without it; the command line passes one.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self._console = Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """Print one line."""
        if not self.quiet:
            self._console.print(text, markup=False, soft_wrap=True)
            sys.stderr.flush()

    @contextmanager
    def bar(self, what: str) -> Iterator[Update]:
        """Show progress while the body runs, with rate and time left: a bar, or a line a minute without a terminal."""
        if self.quiet:
            yield lambda done, of: None
            return
        if not self._console.is_terminal:
            yield self._lines(what)
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
        )
        begun = time.monotonic()
        with Progress(*columns, TimeRemainingColumn(), console=self._console, transient=True) as progress:
            task = progress.add_task(what, total=None, rate="")
            yield lambda done, of: progress.update(task, completed=done, total=of, rate=_rate(done, begun))

    def _lines(self, what: str) -> Update:
        begun = told = time.monotonic()

        def update(done: int, of: int) -> None:
            nonlocal told
            now = time.monotonic()
            if now - told >= _LINE_EVERY_S and done:
                told = now
                left = timedelta(seconds=round((of - done) * (now - begun) / done))
                self.say(f"{what}: {done:,} of {of:,}, {_rate(done, begun)}, {left} left")

        return update


def _rate(done: int, begun: float) -> str:
    rate = done / max(time.monotonic() - begun, 1e-9)
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"
