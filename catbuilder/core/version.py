"""The version of catbuilder, as in `pyproject.toml`; every recording and export carries it."""

__version__ = "0.1.0"


def versions_that_matter() -> dict[str, str]:
    """List the versions of what must agree between machines that work together."""
    from importlib.metadata import PackageNotFoundError, version  # here: every command waits 20 ms for it

    found = {"catbuilder": __version__}
    for package in ("torch", "timm", "horovod"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found
