"""Refuse an empty option or argument of any verb: it comes from a shell variable that was never set.

An empty path would mean the current folder, an empty condition every object.
"""

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

from catbuilder.core.errors import InputError


class Verb(TyperCommand):
    """A command that refuses empty values before it does anything."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of the command line."""
        refuse_empty(self, ctx, args)
        return super().parse_args(ctx, args)


def refuse_empty(command: Any, ctx: Any, words: Sequence[str]) -> None:
    """Raise InputError that names the first option or argument of a command whose value is empty."""
    values, _, _ = command.make_parser(ctx).parse_args(args=list(words))
    for parameter in command.get_params(ctx):
        given = values.get(parameter.name)
        for value in given if isinstance(given, list | tuple) else [given]:
            if isinstance(value, str) and not value.strip():
                is_option = parameter.param_type_name == "option"
                name = max(parameter.opts, key=len) if is_option else (parameter.metavar or parameter.name.upper())
                mend = "give a value, or leave it out" if is_option else "give a value"
                raise InputError(f"{name} is empty, as a shell variable is that was never set; {mend}")
