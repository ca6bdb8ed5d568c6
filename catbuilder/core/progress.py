"""Show messages and progress bars on standard error: bars on a terminal, plain lines elsewhere, or nothing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

Update = Callable[[int, int], None]  # reports progress: (done, of)


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
        """Show a progress bar while the body runs, if standard error is a terminal."""
        if self.quiet or not self._console.is_terminal:
            yield lambda done, of: None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(what, total=None)
            yield lambda done, of: progress.update(task, completed=done, total=of)
