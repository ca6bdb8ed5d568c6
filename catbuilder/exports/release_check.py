"""List the releases of a workspace, and verify their files by their checksums."""

import json
import re
from typing import Any

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import ReleaseError
from catbuilder.core.files import read_checksums, sha256_file

VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SUMS, PROVENANCE = "SHA256SUMS", "provenance.json"


def list_releases(workspace: Workspace) -> list[dict[str, Any]]:
    """Read the provenance of each release, sorted by version.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.

    Returns
    -------
    list of dict
        For each release: version, round, objects (their number), where, created (UTC), doi, surveys, facts and recipe.

    Raises
    ------
    ReleaseError
        The provenance of a release cannot be read.

    Examples
    --------
    >>> [one["version"] for one in catbuilder.list_releases(workspace)]
    """
    found = []
    for file in sorted((workspace.path / "releases").glob(f"[!.]*/{PROVENANCE}")):
        try:
            found.append(json.loads(file.read_text(encoding="utf-8")))
        except ValueError:
            raise ReleaseError(_damaged(file.parent.name, f"{PROVENANCE} is not JSON")) from None
    return found


def verify_release(workspace: Workspace, version: str) -> int:
    """Compare every file of a release with its checksum.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    version : str
        Version of the release.

    Returns
    -------
    int
        Number of files compared.

    Raises
    ------
    ReleaseError
        There is no such release, or a file of it is missing, changed or was added.

    Examples
    --------
    >>> catbuilder.verify_release(workspace, "1.0")
    """
    folder = workspace.path / "releases" / version
    if not VERSION.fullmatch(version) or not folder.is_dir():
        known = ", ".join(_versions(workspace)) or "none"
        raise ReleaseError(
            f"there is no release {version} in {workspace.path} (existing releases: {known}); make it with: catbuilder "
            f"release {version}"
        )
    if not (folder / SUMS).is_file():
        raise ReleaseError(_damaged(version, f"{SUMS} is missing"))
    sums = read_checksums(folder / SUMS)
    # `restore` keeps a damaged file beside the one that it restored
    there = {file.name for file in folder.iterdir() if ".damaged-" not in file.name} - {SUMS}
    for name in sorted(sums.keys() | there):
        if name not in there:
            raise ReleaseError(_damaged(version, f"{name} is missing"))
        if name not in sums:
            raise ReleaseError(_damaged(version, f"{name} was not released"))
        if sha256_file(folder / name) != sums[name]:
            raise ReleaseError(_damaged(version, f"{name} is not what was released"))
    return len(sums)


def verify_releases(workspace: Workspace) -> dict[str, int]:
    """Compare every file of every release with its checksum, and return the number of files of each.

    Raises
    ------
    ReleaseError
        There is no release, or a file of one is missing, changed or was added; the message names all such releases.
    """
    counts, faults = {}, []
    for version in _versions(workspace):
        try:
            counts[version] = verify_release(workspace, version)
        except ReleaseError as error:
            faults.append(str(error))
    if faults:
        raise ReleaseError("; ".join(faults))
    if not counts:
        raise ReleaseError(f"there is no release in {workspace.path} yet; make one with: catbuilder release 1.0")
    return counts


def _versions(workspace: Workspace) -> list[str]:
    return sorted(one.name for one in (workspace.path / "releases").glob("[!.]*") if one.is_dir())


def _damaged(version: str, what: str) -> str:
    return f"release {version} is not as it was published: {what}; restore it from a copy"
