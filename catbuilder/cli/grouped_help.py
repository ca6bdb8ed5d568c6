"""List the verbs of `catbuilder --help` under headings, each on a line of its own."""

from typing import Any, ClassVar

from typer.core import TyperGroup

from catbuilder.cli.empty_values import refuse_empty


class GroupedHelp(TyperGroup):
    """A command group whose help lists its commands under their `rich_help_panel`, in a given order.

    Typer itself shows panels only with rich, which takes too long to import; without rich it cuts the lines off. And it
    lists groups of commands after all commands.
    """

    order: ClassVar[tuple[str, ...]] = ()  # the names of the commands

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.commands = {name: self.commands[name] for name in self.order}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words before the verb."""
        refuse_empty(self, ctx, args)
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each heading."""
        widest = max(map(len, self.commands))
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            heading = getattr(command, "rich_help_panel", None) or "Commands"
            sections.setdefault(heading, []).append((name.ljust(widest), _first_sentence(command.help or "")))
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


def _first_sentence(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split()).split(". ")[0].rstrip(".")
