"""Draw the README's picture: what a workspace promoted of each class, the surest first, and what it doubts most.

python scripts/build/demo_picture.py demo docs/pictures/demo_pool.png
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from catbuilder.catalogue.workspace import Workspace
from catbuilder.inspection.sandbox import query_table

ACROSS = 9
_STAMPS = """
    SELECT c.label, c.predicted_label, c.predicted_confidence, c.label_round, s.shard, s.row
    FROM catalog AS c JOIN standing_stamps_at() AS s ON s.survey = c.survey AND s.object_id = c.object_id
    WHERE c.split = 'pool' AND c.model IS NOT NULL AND {which}
    ORDER BY c.predicted_confidence {order}, c.object_id LIMIT {n}
"""


def draw(workspace: Workspace, file: Path) -> None:
    """A row a class, and a row of the pool's least sure objects."""
    classes = workspace.config.classes
    rows = [(f"promoted: {name}", f"source = 'promoted' AND c.label = '{name}'", "DESC") for name in classes]
    rows.append(("least sure", "c.label IS NULL", "ASC"))
    # a column of a journal's two is 7 inches wide; white and opaque, so that it reads on a dark page too
    figure = Figure(figsize=(7.0, 0.98 * len(rows)), layout="constrained", facecolor="white")
    panels = figure.subplots(len(rows), ACROSS, squeeze=False)
    for of_row, (title, which, order) in zip(panels, rows, strict=True):
        found = query_table(workspace, _STAMPS.format(which=which, order=order, n=ACROSS)).to_pylist()
        for panel in of_row:
            panel.set_axis_off()
        for panel, one in zip(of_row, found, strict=False):
            panel.imshow(np.load(workspace.path / one["shard"], mmap_mode="r")[one["row"]])
            say = f"{one['predicted_label']} {one['predicted_confidence']:.2f}" if order == "ASC" else ""
            panel.set_title(say or f"round {one['label_round']}", fontsize=7, pad=2)
        of_row[0].text(-0.08, 0.5, title, fontsize=8, rotation=90, ha="right", va="center",
                       transform=of_row[0].transAxes)  # fmt: skip
    figure.savefig(file, dpi=200)
    with Image.open(file) as drawn:  # 256 colours: a fifth of the size
        drawn.convert("RGB").quantize(256).save(file, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", help="a workspace with closed rounds")
    parser.add_argument("file", type=Path, help="picture to write")
    arguments = parser.parse_args()
    draw(Workspace.open(arguments.workspace), arguments.file)


if __name__ == "__main__":
    main()
