"""Points at which a test may kill or stop this process, to prove that nothing is lost there.

`CATBUILDER_FAULT=decide.before_commit` kills the process at that point as `kill -9` would;
`CATBUILDER_FAULT=decide.before_commit:hold` stops it there until somebody else does.
"""

import os
import signal


def fault_point(name: str) -> None:
    """Do nothing, unless the environment asks for a fault here."""
    wanted, _, how = os.environ.get("CATBUILDER_FAULT", "").partition(":")
    if wanted == name:
        os.kill(os.getpid(), signal.SIGSTOP if how == "hold" else signal.SIGKILL)
