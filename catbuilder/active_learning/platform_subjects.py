"""Export objects to be labelled on Zooniverse or in Label Studio: a folder of images and a manifest.

The labelling is blind: files are named and sorted by survey and id, and no prediction is written. `platform_answers`
reads the answers.
"""

import csv
import html
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from catbuilder.active_learning.platform_layouts import Layout
from catbuilder.active_learning.select_objects import list_open_questions, update_stale_firewall
from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError, NothingToAsk
from catbuilder.core.files import write_text
from catbuilder.core.paths import folder_to_write, named_path
from catbuilder.core.resources import query
from catbuilder.core.stamps import StampReader
from catbuilder.core.user_csv import OBJECT_ID, read_table, survey_column

_LISTED = pa.schema([("survey", pa.string()), ("object_id", pa.int64()), ("name", pa.string())])
MANIFEST = {"zooniverse": "manifest.csv", "labelstudio": "tasks.json"}


def export_subjects(
    workspace: Workspace, folder: str | Path, layout: Layout, table: str | Path | None = None, *, strict: bool = False
) -> int:
    """Write the stamps of objects and their manifest into a new folder, for a labelling platform.

    Stamps are PNG files, unchanged. Layout 'zooniverse': `manifest.csv` beside the images, its fields hidden from
    volunteers. Layout 'labelstudio': `tasks.json` and `label_config.xml`, images in `images/`, with addresses for its
    local file serving from the folder above.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    folder : str or Path
        Folder to write into; it may not have a manifest yet.
    layout : {"zooniverse", "labelstudio"}
        The platform.
    table : str or Path, optional
        CSV file with the columns `object_id` and `survey`, such as `catbuilder select` writes; by default all selected
        objects without an answer.
    strict : bool
        Also refuse rows that only repeat an earlier row; other rows that cannot be used always are. Default False.

    Returns
    -------
    int
        Number of objects written.

    Raises
    ------
    InputError
        The layout is unknown, the folder has a manifest already, a row of the table cannot be read, or the table names
        an object without a good stamp.
    NothingToAsk
        No selected object is without an answer.

    Examples
    --------
    >>> catbuilder.export_subjects(workspace, "subjects", "zooniverse")
    """
    folder = folder_to_write(folder)
    table = None if table is None else named_path(table, "the table of objects")
    if layout not in MANIFEST:
        raise InputError(f"objects cannot be exported in the layout '{layout}'; use {' or '.join(MANIFEST)}")
    if (folder / MANIFEST[layout]).exists():
        raise InputError(f"{folder / MANIFEST[layout]} exists already; give another folder")
    if table is None:
        update_stale_firewall(workspace)
    objects = _stamped(
        workspace, list_open_questions(workspace) if table is None else _listed(workspace, table, strict)
    )
    images = folder if layout == "zooniverse" else folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for name, stamp in _stamps(workspace, objects):
        Image.fromarray(stamp).save(images / name)
    rows = objects.to_pylist()
    if layout == "zooniverse":
        _write_manifest(folder / MANIFEST[layout], rows)
    else:
        write_text(folder / "label_config.xml", _label_config(workspace.config.classes))
        write_text(folder / MANIFEST[layout], json.dumps([_task(folder, row) for row in rows], indent=1) + "\n")
    return len(rows)


def _listed(workspace: Workspace, file: Path, strict: bool) -> pa.Table:
    """Read the objects that a table names; any bad row is an error, since all must be labelled."""
    columns = [OBJECT_ID, survey_column(list(workspace.config.surveys), required=True)]
    table = read_table(file, columns, unique=("survey", "object_id"), limits=workspace.config.limits)
    table.refuse_rejections(repeats=strict)
    rows = [dict(zip(_LISTED.names, (row["survey"], *row["object_id"]), strict=True)) for row in table.rows]
    return pa.Table.from_pylist(rows, schema=_LISTED)


def _stamped(workspace: Workspace, asked: pa.Table) -> pa.Table:
    """Return position, shard and row of the stamp of each object."""
    if not asked.num_rows:
        raise NothingToAsk(
            "no question is open, so there is nothing to label; choose objects first with: catbuilder select "
            "--strategy margin"
        )
    with workspace.reading() as con:
        con.register("named", asked.select(["survey", "object_id"]))
        con.execute("CREATE OR REPLACE TEMP TABLE considered AS SELECT DISTINCT survey, object_id FROM named")
        with restricted_to(con, "considered"):
            objects = fetch_arrow(con, query("active_learning/good_stamps"))
    found = set(zip(objects["survey"].to_pylist(), objects["object_id"].to_pylist(), strict=True))
    for one in asked.select(["survey", "object_id", "name"]).to_pylist():
        if (one["survey"], one["object_id"]) not in found:
            which = f"{one['survey']} {one['name'] or one['object_id']}"
            raise InputError(f"{which} has no good stamp in the catalogue; leave it out of the table")
    return objects


def _stamps(workspace: Workspace, objects: pa.Table) -> Iterator[tuple[str, np.ndarray]]:
    """Read the file name and stamp, uint8 (size, size, 3), of each object."""
    reader = StampReader(workspace.path, objects["shard"].to_pylist(), objects["row"])
    for place, row in enumerate(objects.to_pylist()):
        yield _image_name(row), reader.read([place])[0]


def _image_name(row: dict[str, object]) -> str:
    return f"{row['survey']}-{row['object_id']}.png"


def _write_manifest(file: Path, rows: list[dict[str, object]]) -> None:
    with open(file, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["image", "#survey", "#object_id", "#ra", "#dec"])
        writer.writerows([_image_name(row), row["survey"], row["object_id"], row["ra"], row["dec"]] for row in rows)


def _task(folder: Path, row: dict[str, object]) -> dict[str, object]:
    image = f"/data/local-files/?d={folder.resolve().name}/images/{_image_name(row)}"
    data = {"image": image, "survey": row["survey"], "object_id": str(row["object_id"])}
    return {"data": data | {name: row[name] for name in ("ra", "dec") if row[name] is not None}}


def _label_config(classes: tuple[str, ...]) -> str:
    """Return Label Studio's labelling interface: one choice of the classes."""
    choices = "".join(f'    <Choice value="{html.escape(name)}"/>\n' for name in classes)
    return (
        '<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <Choices name="label" toName="image" choice="single" required="true">\n{choices}  </Choices>\n</View>\n'
    )
