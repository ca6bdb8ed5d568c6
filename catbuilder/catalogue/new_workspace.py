"""Create a workspace: the folder, its `catbuilder.toml` and an empty catalogue."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from catbuilder.catalogue.connection import require_readable_folder
from catbuilder.catalogue.database import create_catalog
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.arguments import name_list
from catbuilder.core.errors import ConfigError, WorkspaceError
from catbuilder.core.files import write_text
from catbuilder.core.paths import named_path
from catbuilder.core.settings import WorkspaceConfig, load_settings


def create_workspace(
    path: str | Path,
    classes: str | Sequence[str] | None = None,
    stamp_size: int | None = None,
    recipe: str | None = None,
) -> Workspace:
    """Create a workspace: a folder with its `catbuilder.toml` and an empty catalogue.

    A `catbuilder.toml` that exists in the folder already is used as it is.

    Parameters
    ----------
    path : str or Path
        Folder of the new workspace; it is made if it is not there.
    classes : sequence of str, optional
        Names of the classes, plain lower-case words; by default elliptical and spiral.
    stamp_size : int, optional
        Width of a stamp in pixels, from 16 to 1024; by default 64.
    recipe : str, optional
        Recipe of its rounds; by default `paper`.

    Returns
    -------
    Workspace
        The new workspace.

    Raises
    ------
    WorkspaceError
        The folder is a workspace already, or cannot be made.
    ConfigError
        A class name is not a plain lower-case word, or the stamp size is out of range; or an existing
        `catbuilder.toml` has other values.

    Examples
    --------
    >>> workspace = catbuilder.create_workspace("des-y2", classes=["elliptical", "spiral"], stamp_size=96)
    """
    path = named_path(path, "the folder of the workspace").resolve()
    require_readable_folder(path)
    settings = path / "catbuilder.toml"
    asked = {
        "classes": None if classes is None else tuple(name_list(classes)),
        "stamp_size": stamp_size,
        "recipe": recipe,
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    if settings.exists() and any((path / name).exists() for name in ("catalog.duckdb", "log.jsonl", "stamps")):
        raise WorkspaceError(f"{path} is a workspace already; use it with -w {path}, or choose another folder")
    draft = path / ".catbuilder.toml.draft"
    if (path / "catalog.duckdb").exists() and not draft.exists():
        raise WorkspaceError(
            f"{path} holds a catalogue without its catbuilder.toml; put that back, or choose another folder"
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
        config = _written_beforehand(settings, asked) if settings.exists() else _drafted(draft, asked)
        new_catalog = path / ".catalog.duckdb.draft"  # an init that was killed may have left one
        new_catalog.unlink(missing_ok=True)
        create_catalog(new_catalog, config.classes)
        os.replace(new_catalog, path / "catalog.duckdb")
        if not settings.exists():
            os.replace(draft, settings)  # last: a folder with this file is a complete workspace
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be made a workspace: {error.strerror}; choose another folder") from None
    return Workspace(path, config)


def _drafted(draft: Path, asked: dict[str, Any]) -> WorkspaceConfig:
    """Write and check the settings of a new workspace."""
    wanted = WorkspaceConfig().model_dump(include={"classes", "stamp_size", "recipe"}) | asked
    write_text(draft, _settings_text(wanted["classes"], wanted["stamp_size"], wanted["recipe"]))
    try:
        return load_settings(draft, WorkspaceConfig)
    except ConfigError as error:
        draft.unlink()
        raise ConfigError(str(error).replace(f"{draft}: ", "")) from None


def _written_beforehand(settings: Path, asked: Mapping[str, Any]) -> WorkspaceConfig:
    """Read the existing settings; raise ConfigError if the command asks for other values."""
    config = load_settings(settings, WorkspaceConfig)
    for name, value in asked.items():
        said = getattr(config, name)
        if said != value:
            raise ConfigError(
                f"{settings} exists already and its {name} is {_in_words(said)}, not {_in_words(value)}; leave out "
                f"--{name.replace('_', '-')}, or change the file"
            )
    return config


def _in_words(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _settings_text(classes: Sequence[str], stamp_size: int, recipe: str) -> str:
    return f"""# Settings of this catbuilder workspace. Classes and stamp size are fixed once objects are in.
classes = {json.dumps(list(classes))}
stamp_size = {stamp_size}          # px, the width of every stored stamp
recipe = {json.dumps(recipe)}      # used by `catbuilder round` without --recipe

# A survey's name is bound to one release: DES DR1 and DR2 number the same sky differently.
[surveys.sdss]
release = "DR7"
id_column = "objID"

[surveys.des]
release = "DR1"
id_column = "COADD_OBJECT_ID"
"""
