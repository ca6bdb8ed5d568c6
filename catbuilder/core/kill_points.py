"""Points at which a test can kill or stop this process, to prove that nothing recorded is lost there.

`CATBUILDER_FAULT=decide.before_commit` kills the process at that point as `kill -9` would;
`CATBUILDER_FAULT=decide.before_commit:hold` stops it there (SIGSTOP) until it is continued or killed;
`CATBUILDER_FAULT=each:FILE` kills it at the first point that FILE does not name yet, after adding that point to FILE. A
test repeats the command until it succeeds: by then it has been killed once at every point.
"""

import os
import signal


def fault_point(name: str) -> None:
    """Kill or stop this process if CATBUILDER_FAULT names this point; else do nothing."""
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
