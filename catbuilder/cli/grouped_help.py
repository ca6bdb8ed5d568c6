"""Show the verbs of `catbuilder --help` under headings, each line whole."""

from typing import Any

from typer.core import TyperGroup


class GroupedHelp(TyperGroup):
    """A group whose help lists its commands by their `rich_help_panel`, in the order in which they were added.

    Typer draws panels only with rich, whose import alone takes longer than the help may; and without it cuts the
    commands' lines off.
    """

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
