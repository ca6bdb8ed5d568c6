"""The pictures of docs/pictures: one rendering, whichever survey took the image.

`sdss_des_pairs.png` shows simulated galaxies as SDSS (upper of each two rows) and DES (lower) would see them, from the
same pixels that `ingest tiles` would find in their tiles; how alike they are is printed. With a folder of cubes as
`--cubes`, `decals_cubes.png` shows what `ingest tiles` makes of them.

    python scripts/build/tile_pictures.py [--cubes FOLDER] [--out docs/pictures]
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from catbuilder.catalogue.new_workspace import create_workspace
from catbuilder.catalogue.workspace import Workspace
from catbuilder.ingest.tiles.cutouts import section_side
from catbuilder.ingest.tiles.ingest_tiles import ingest_tiles
from catbuilder.ingest.tiles.rendering import CutOut, render
from catbuilder.simulation.galaxies import SurveyPlan, draw_galaxies
from catbuilder.simulation.galaxy import Galaxy
from catbuilder.simulation.telescopes import DES, SDSS, Scene, Telescope

COLUMNS, ROWS, SIZE = 8, 2, 64
HALF_LIGHT_RADII = 5.5  # width of a box: about what 4 Petrosian radii are


def seen(galaxy: Galaxy, telescope: Telescope) -> np.ndarray:
    """Stamp (SIZE, SIZE, 3) of one galaxy as it would be cut from a tile of this survey."""
    width = max(HALF_LIGHT_RADII * galaxy.radius_arcsec, 12.0) / telescope.arcsec_per_pixel
    pixels = section_side(width)
    bands = Scene(galaxy).noisy_bands(telescope, pixels, seed=1)[..., ::-1].transpose(2, 0, 1)
    nowhere = np.zeros((pixels, pixels), bool)
    middle = (pixels - 1) / 2
    bands = bands / telescope.arcsec_per_pixel**2
    return render([CutOut(bands, nowhere, None, middle, middle, width)], "gri", SIZE)[0].pixels


def likeness(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Correlation and mean absolute difference (levels), the mean over stamps and channels of (n, size, size, 3)."""
    a, b = (stamps.astype(np.float64).reshape(len(stamps), -1, 3) for stamps in (first, second))
    x, y = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    correlation = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return float(correlation.mean()), float(np.abs(a - b).mean())


def pairs(out: Path) -> None:
    galaxies = draw_galaxies(SurveyPlan(training=0, hp=COLUMNS * ROWS, fo=0, calibration=0, pool=0, faults=0), seed=3)
    galaxies = [
        galaxies[k // 2 + (k % 2) * (len(galaxies) // 2)] for k in range(len(galaxies))
    ]  # spiral, elliptical ...
    stamps = {t.name: np.stack([seen(galaxy, t) for galaxy in galaxies]) for t in (SDSS, DES)}
    for what, other in (("the same galaxy", stamps["des"]), ("another galaxy", np.roll(stamps["des"], 2, axis=0))):
        correlation, difference = likeness(stamps["sdss"], other)
        print(f"SDSS against DES, {what}: correlation {correlation:.3f}, mean difference {difference:.1f} levels")
    rows = []
    for first in range(0, len(galaxies), COLUMNS):
        rows += [np.concatenate(stamps[name][first : first + COLUMNS], axis=1) for name in ("sdss", "des")]
    shown = np.concatenate(rows) // 4 * 4 + 2  # 64 levels a channel, finer than the noise: half the bytes
    Image.fromarray(shown).save(out / "sdss_des_pairs.png", optimize=True)


def cubes(folder: Path, out: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        workspace = create_workspace(Path(temporary) / "ws", stamp_size=128)
        with open(workspace.path / "catbuilder.toml", "a", encoding="utf-8") as file:
            file.write('\n[surveys.decals]\nrelease = "DR3"\n')
        workspace = Workspace.open(workspace.path)
        ingest_tiles(workspace, folder, survey="decals")
        with workspace.reading() as con:
            rows = con.execute(
                "SELECT s.shard, s.row, o.name, s.quality FROM stamps AS s JOIN objects AS o USING (survey, object_id) "
                "ORDER BY o.name"
            ).fetchall()
        print("\n".join(f"{name}: {quality}" for _, _, name, quality in rows))
        stamps = [np.load(workspace.path / shard)[row] for shard, row, _, _ in rows]
    Image.fromarray(np.concatenate(stamps, axis=1)).save(out / "decals_cubes.png", optimize=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cubes", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    pairs(arguments.out)
    if arguments.cubes:
        cubes(arguments.cubes, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
