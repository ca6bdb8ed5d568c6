"""Settings of Ray for tests: its files in a folder that goes away, and a token, as on a network."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_TOKEN = secrets.token_hex(32)  # one for the process, which remembers the first that it is told


@contextmanager
def ray_settings() -> Iterator[None]:
    """Set them in the environment, for this process and those that it starts."""
    # below /tmp: the path of a socket has 107 characters at most
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="cbr-", dir="/tmp") as folder:
        Path(folder, "ray").mkdir()
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", _TOKEN)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield
