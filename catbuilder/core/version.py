"""The version of catbuilder, as in `pyproject.toml`; every recording and export carries it."""

__version__ = "0.1.0"
