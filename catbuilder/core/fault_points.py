"""Points at which a test may kill or stop this process, to prove that nothing is lost there.

`CATBUILDER_FAULT=decide.before_commit` kills the process at that point as `kill -9` would;
`CATBUILDER_FAULT=decide.before_commit:hold` stops it there until somebody else does;
`CATBUILDER_FAULT=each:FILE` kills it at every point in turn that FILE does not name yet, having named it there: the
same command, given until it ends well, has been killed once at each.
"""

import os
import signal


def fault_point(name: str) -> None:
    """Do nothing, unless the environment asks for a fault here."""
    wanted, _, how = os.environ.get("CATBUILDER_FAULT", "").partition(":")
    if wanted == name or (wanted == "each" and _first_pass(how, name)):
        os.kill(os.getpid(), signal.SIGSTOP if how == "hold" else signal.SIGKILL)


def _first_pass(file: str, name: str) -> bool:
    import fcntl

    with open(file, "a+", encoding="utf-8") as seen:
        fcntl.flock(seen, fcntl.LOCK_EX)  # two workers may pass at once
        seen.seek(0)
        if name in seen.read().splitlines():
            return False
        seen.write(f"{name}\n")
        return True
