"""Draw labelled galaxies out of a table: so many, the same number of each class, by a hash of seed and id.

A larger draw of the same seed contains the smaller ones, so that a curve of accuracy against number of labels adds
galaxies and exchanges none.

    python scripts/study/draw_labels.py TABLE N SEED > DRAWN

TABLE is a CSV with the columns object_id and label; N is a number, or `all`. The rows keep their order.
"""

import csv
import hashlib
import sys
from collections.abc import Mapping


def draw(labels: Mapping[int, str], n: int, seed: int) -> set[int]:
    """Choose n of the labelled objects, n divided by the number of classes of each class.

    Raises
    ------
    ValueError
        The classes cannot have equal shares of n, or one of them has too few objects.
    """
    classes = sorted(set(labels.values()))
    each, left = divmod(n, len(classes))
    if left or each < 1:
        raise ValueError(f"{n} labels cannot be shared equally by {', '.join(classes)}; give another number of labels")
    chosen: set[int] = set()
    for name in classes:
        of_class = sorted((i for i, label in labels.items() if label == name), key=lambda i: (_place(i, seed), i))
        if len(of_class) < each:
            raise ValueError(
                f"only {len(of_class)} objects are labelled {name}, and {n} labels need {each}; "
                f"give at most {len(of_class) * len(classes)}, or all"
            )
        chosen.update(of_class[:each])
    return chosen


def _place(object_id: int, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {object_id}".encode(), digest_size=8).digest()


def main() -> None:
    """Write the drawn rows of the table to standard output."""
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    table, number, seed = sys.argv[1:]
    with open(table, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if number != "all":
        if not (number.isdecimal() and seed.lstrip("-").isdecimal()):
            sys.exit(
                f"'{number}' labels by seed '{seed}' cannot be drawn; give a number of labels or all, and a number"
            )
        try:
            chosen = draw({int(row["object_id"]): row["label"] for row in rows}, int(number), int(seed))
        except ValueError as error:
            sys.exit(f"{table}: {error}")
        rows = [row for row in rows if int(row["object_id"]) in chosen]
    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


if __name__ == "__main__":
    main()
