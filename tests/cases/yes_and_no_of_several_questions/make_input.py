"""In a decision tree Yes and No answer several questions, of which one is meant."""

from pathlib import Path

from support.platform_exports import classification, task, write_classifications

A, B, C, D = ("T0", "Smooth, or features?"), ("T1", "Edge-on?"), ("T2", "A bar?"), ("T3", "Spiral arms?")


def tree(*answers: tuple[str, str, str]) -> list[dict[str, object]]:
    return [task(value, name, text) for name, text, value in answers]


rows = [
    classification("ann", 1000, *tree((*A, "Features"), (*B, "No"), (*C, "No"), (*D, "Yes"))),  # has arms
    classification("ann", 1001, *tree((*A, "Features"), (*B, "No"), (*C, "Yes"), (*D, "No"))),  # barred, without arms
    classification("ann", 1002, *tree((*A, "Features"), (*B, "Yes"))),  # edge-on, never asked about arms
]
write_classifications(Path("c.csv"), rows)
