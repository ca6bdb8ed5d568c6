"""Foreign text inside our own sentences: what a file holds must neither break a line nor command a terminal."""

LONGEST = 200
"""Letters; a cell of a table may have 131,072."""


def in_one_line(text: object, longest: int = LONGEST) -> str:
    """A text that can stand in a message: white space is one space, letters that do not print are escaped.

    An escape sequence in a file's name or cell could otherwise clear the screen, or hide what was said before it.
    """
    said = " ".join(str(text).split())
    plain = printable(said[: longest + 1])
    return plain if len(said) <= longest else f"{plain[:longest]} ..."


def printable(text: str) -> str:
    """The text with every control letter but the line break written as an escape, and so what is no Unicode."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else letter.encode("unicode_escape", "replace").decode()
        for letter in text
    )


_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which a cell begins that a spreadsheet computes


def for_spreadsheet(text: str) -> str:
    """A cell of a CSV file that no spreadsheet runs: a text like `=HYPERLINK(...)` gets an apostrophe before it.

    Numbers stay as they are. `from_spreadsheet` takes the apostrophe away again.
    """
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) and not is_number(text) else text


def from_spreadsheet(cell: str) -> str:
    """What `for_spreadsheet` was given."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell


def is_number(text: str) -> bool:
    """Whether Python reads it as a number, infinity and NaN among them."""
    try:
        float(text)
    except ValueError:
        return False
    return True
