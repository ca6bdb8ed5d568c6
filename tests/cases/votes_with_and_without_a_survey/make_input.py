"""Answers on one object come with and without its survey: they are votes on one object, and one person votes once."""

from pathlib import Path

from support.platform_exports import classification, task, write_classifications


def said(user: str, object_id: int, answer: str, *, survey: bool) -> tuple[object, ...]:
    fields = {"#object_id": object_id, **({"#survey": "des"} if survey else {})}
    return classification(user, object_id, task(answer), fields=fields)


write_classifications(
    Path("votes.csv"),
    [
        said("ann", 1000, "Spiral", survey=True), said("bob", 1000, "Spiral", survey=True),
        said("cy", 1000, "Star", survey=False), said("dan", 1000, "Star", survey=False),
        said("ann", 1001, "Spiral", survey=True), said("ann", 1001, "Elliptical", survey=False),
        said("bob", 1001, "Elliptical", survey=True),
    ],
)  # fmt: skip
alone = [said(user, 1002, "Spiral", survey=False) for user in ("ann", "bob")]
write_classifications(Path("may.csv"), alone)
write_classifications(Path("june.csv"), [*alone, *(said(f"u{n}", 1002, "Star", survey=False) for n in range(2))])
