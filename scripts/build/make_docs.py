"""Write what follows from the program in docs/: command line, data dictionary, cookbook, map of packages, input cases.

python scripts/build/make_docs.py            writes them
python scripts/build/make_docs.py --check    writes nothing; exits with 1 and names the pages that are out of date
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import input_cases
import package_map
import typer
import typer.main

from catbuilder.catalogue.new_workspace import create_workspace
from catbuilder.catalogue.schema import data_dictionary
from catbuilder.cli.main import app
from catbuilder.inspection.cookbook import cookbook_queries

DOCS = Path(__file__).resolve().parents[2] / "docs"
_OF_EVERY_VERB = ("help",)
GENERATED = "<!-- Written by scripts/build/make_docs.py; `make docs` writes it again. -->\n\n"


def command_line() -> str:
    """Every verb with its arguments, options and example, as its `--help` tells them."""
    command: Any = typer.main.get_command(app)
    parts = [_COMMAND_LINE, *_options(command)]
    verbs = list(_verbs(command))
    parts.append("\n## Verbs\n\n| verb | what it does |\n|---|---|")
    parts += [f"| [`{words}`](#{words.replace(' ', '-')}) | {_summary(verb)} |" for words, verb in verbs]
    for words, verb in verbs:
        arguments = [name if one.required else f"[{name}]" for one in verb.params if (name := _argument(one))]
        usage = " ".join(["catbuilder", words, *arguments, "[OPTIONS]"])
        parts += [f"\n## {words}\n", f"{verb.help.strip()}\n", f"```text\n{usage}\n```\n", *_options(verb)]
        examples = verb.epilog.removeprefix("Example: ").split("\n\n")
        parts.append("\n".join(["\nExample:\n", *(f"    {example}" for example in examples)]))
    return GENERATED + "\n".join(parts) + "\n"


def _verbs(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, verb in getattr(command, "commands", {}).items():
        yield from _verbs(verb, (*words, name))
    if not hasattr(command, "commands"):
        yield " ".join(words), command


def _summary(verb: Any) -> str:
    return _cell(str(verb.help).splitlines()[0])


def _argument(parameter: Any) -> str:
    return str(parameter.name).upper() if parameter.param_type_name == "argument" else ""


def _options(command: Any) -> list[str]:
    context = typer.Context(command)
    records = (one.get_help_record(context) for one in command.params if one.name not in _OF_EVERY_VERB)
    rows = [f"| `{named}` | {_cell(' '.join(said.split()))} |" for named, said in filter(None, records)]
    return ["| argument or option | what it is |", "|---|---|", *rows] if rows else []


def dictionary() -> str:
    """Every table and view with its columns, out of the comments of a new catalogue of the default classes."""
    with tempfile.TemporaryDirectory() as folder, create_workspace(Path(folder) / "ws").reading() as con:
        tables = con.execute(
            "SELECT table_name, 'table', comment FROM duckdb_tables() UNION ALL "
            "SELECT view_name, 'view', comment FROM duckdb_views() WHERE NOT internal ORDER BY 1"
        ).fetchall()
        types = {
            (table, column): kind
            for table, column, kind in con.execute(
                "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal"
            ).fetchall()
        }
        parts = [_DICTIONARY]
        for table, kind, comment in sorted(tables, key=lambda row: (row[0] != "catalog", row[0])):
            parts.append(f"\n## {table}\n\n*{kind.capitalize()}.* {comment + '.' if comment else ''}\n")
            parts.append("| column | type | unit | UCD | meaning |\n|---|---|---|---|---|")
            parts += [
                f"| `{column.name}` | {types[table, column.name]} | {column.unit} | {_code(column.ucd)} | "
                f"{_cell(column.description)} |"
                for column in data_dictionary(con, table)
            ]
    return GENERATED + "\n".join(parts) + "\n"


def cookbook() -> str:
    """The queries of `sql/cookbook`."""
    found = cookbook_queries()
    parts = [_COOKBOOK.format(n=len(found))]
    for number, one in enumerate(found, start=1):
        remark = f"{one.remark}\n\n" if one.remark else ""
        parts.append(f"## {number}. {one.title}\n\n{remark}```sql\n{one.sql}\n```\n")
        parts.append(f"    catbuilder sql --example {one.name}\n")
    return GENERATED + "\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


_COMMAND_LINE = """# Command line

Each verb is one call into the library, which a Python user can make too. `catbuilder VERB --help` says the same as this
page and ends in an example; `catbuilder --install-completion` teaches your shell the verbs and options.

Exit codes: 0 done; 1 refused or failed, with one sentence that says what is wrong and what to do (`--debug` adds the
traceback); 2 a command line that does not exist; 130 stopped with Ctrl-C. These stand before the verb:
"""

_DICTIONARY = """# Data dictionary

Every column of every table and view, from the comments in the schema itself; the same texts, units and UCDs
([IVOA UCD1+](https://www.ivoa.net/documents/UCD1+/)) go into exports. It is that of a workspace with the classes
`elliptical` and `spiral`: one with others has a column `p_<class>` for each of them. Of a workspace of your own:

    catbuilder sql "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"

`catalog_at(r)` and its like (`standing_labels_at`, `standing_objects_at`, `standing_matches_at` ...) take a round's
number and give the table as it stood when that round closed; `standing_labels_at()`, without a number, gives it as it
is now: [the catalogue](catalogue.md).
"""

_COOKBOOK = """# SQL cookbook

{n} questions that people ask of a catalogue. Each is shipped with the program: run it by its name, change it, or start
a query of your own from it. All are run by a test on a catalogue with closed rounds.

    catbuilder sql --examples                            # list them
    catbuilder sql --example surest_errors               # ask one
    catbuilder sql --example promoted_by_round --format csv

Queries run read-only and apart from everything else, under a limit of memory and time
(`sql --help`). Over hundreds of millions of objects use `catbuilder count`, or name a range of ids:
[large catalogues](catalogue.md#hundreds-of-millions-of-objects). What each column means is in the
[data dictionary](data-dictionary.md).
"""

PAGES = {
    "cli.md": command_line,
    "data-dictionary.md": dictionary,
    "cookbook.md": cookbook,
    "input.md": lambda: input_cases.with_cases(DOCS / "input.md"),
    "pictures/packages.svg": package_map.draw,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say which pages are out of date")
    check = parser.parse_args().check
    stale = []
    for name, make in PAGES.items():
        page, text = DOCS / name, make()
        if not page.is_file() or page.read_text(encoding="utf-8") != text:
            stale.append(f"docs/{name}")
            if not check:
                page.parent.mkdir(exist_ok=True)
                page.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name} is out of date; write it with: make docs" if check else f"wrote {name}")
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()
