"""Skip tests whose needs this machine does not meet, told without imports that take seconds."""

from importlib.util import find_spec

import pytest

needs_horovod = pytest.mark.skipif(not find_spec("horovod"), reason="Horovod is not installed: several ranks untested")
