"""Parse a command line of the documentation without running it."""

import shlex
from functools import cache

from typer.main import get_command

from catbuilder.cli.main import app


def parse_command(line):
    """Parse a command line as the shell and catbuilder would, and run nothing; raises on what does not exist."""
    words = shlex.split(line, comments=True)
    assert words.pop(0) == "catbuilder"
    command, named = _all_commands(), "catbuilder"
    while hasattr(command, "commands"):
        while words[0] in ("-w", "--workspace", "--memory-limit"):
            del words[:2]
        named = words.pop(0)
        command = command.commands[named]
    command.make_context(named, words)


@cache
def _all_commands():
    return get_command(app)
