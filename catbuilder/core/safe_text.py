"""Quote text from files safely: without line breaks or control characters in messages, without formulas in CSV."""

LONGEST = 200
"""Characters that a message repeats; a cell of a table may have millions."""


def in_one_line(text: object, longest: int = LONGEST) -> str:
    """Make a text fit for a message: one line, unprintable characters escaped, cut after `longest` characters.

    Otherwise an escape sequence in a file's name or cell could clear the screen, or hide earlier output.
    """
    said = " ".join(str(text).split())
    plain = printable(said[: longest + 1])
    return plain if len(said) <= longest else f"{plain[:longest]} ..."


def printable(text: str) -> str:
    """Escape every control character except line breaks, and whatever is not valid Unicode."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else letter.encode("unicode_escape", "replace").decode()
        for letter in text
    )


def last_line(error: Exception) -> str:
    """Return the last line of an error's message, where wcslib states the cause, or the error's class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def counted(n: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun, or another word whose plural is given: 1 object, 1,200 objects, 2 galaxies."""
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"


_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet evaluates cells that begin with one of these


def for_spreadsheet(text: str) -> str:
    """Protect a CSV cell from being evaluated by a spreadsheet: `=HYPERLINK(...)` gets an apostrophe before it.

    Numbers stay as they are. `from_spreadsheet` removes the apostrophe.
    """
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) and not is_number(text) else text


def from_spreadsheet(cell: str) -> str:
    """Undo `for_spreadsheet`."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell


def is_number(text: str) -> bool:
    """Whether Python reads the text as a number; infinity and NaN count."""
    try:
        float(text)
    except ValueError:
        return False
    return True
