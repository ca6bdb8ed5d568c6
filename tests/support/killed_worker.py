"""What worker processes are given to do in the tests; apart, since such a process imports its module."""

import os


def die(piece: object, place: object) -> None:
    """End the process as a kill would."""
    os._exit(9)


def squared(piece: int, place: object) -> tuple[int, int]:
    """Give the square, and who has computed it."""
    return piece**2, os.getpid()
