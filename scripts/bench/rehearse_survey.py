"""A rehearsal of DES: tiles are cut, a round is run and a catalogue exported, on a cluster, at a size that fits here.

Makes --tiles coadd tiles in the layout in which DES delivers them (Rice-compressed image, mask and weight of three
bands, with a WCS), with as many sources a pixel as DES has, and the table of these sources. Then it gives the commands
that a survey would: `ingest des`, `ingest tiles`, `ingest images` (of labelled galaxies), `round`, `export`. With
--nodes a Ray cluster of that many nodes of one core is started on this machine, and the commands are given its address.

Told are seconds, stamps and objects a second and node, the CPU of the coordinator (the command itself, without workers
on nodes), and bytes read, written, and sent over the loopback, by which the nodes of one machine talk. From these the
whole of DES is extrapolated, with every assumption: what it would take, and from how many nodes on the coordinator
would be what they wait for.

    python scripts/bench/rehearse_survey.py [--tiles 4] [--side 2000] [--nodes 2] [--recipe NAME] [--set KEY=VALUE ...]
"""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.wcs.utils import pixel_to_skycoord
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from support.coadd_tile import tile_wcs, write_tile

DES_TILES, DES_SIDE, DES_OBJECTS = 10_338, 10_000, 300_000_000
PIXELS_AN_OBJECT = DES_SIDE**2 * DES_TILES / DES_OBJECTS
STAMP = 64
NOISE = 4.0  # counts a pixel, at zero point 30
LABELLED = 200
CLASSES = ("elliptical", "spiral")
STORE_BYTES = 200_000_000  # of each node, for what is sent to it
# a network and a training as short as they can be: what is rehearsed is everything around it
SHORT = ("training.tries=1", "validation.fraction=0.2", "promotion.per_class=5", "promotion.floor=0.0")


@dataclass(frozen=True)
class Spent:
    """What a command took."""

    seconds: float
    coordinator_s: float  # CPU of the command; with a cluster without its workers
    sent: int  # bytes over the loopback


def draw_tile(folder: Path, number: int, side: int, objects: int) -> pa.Table:
    """Write a tile with exponential discs at random places, and give the rows of the archive's table of them."""
    rng = np.random.default_rng(number)
    planes = rng.standard_normal((3, side, side), dtype=np.float32) * NOISE
    x, y = rng.uniform(0, side - 1, (2, objects))
    magnitude, scale, axis = rng.uniform(16, 22, objects), rng.gamma(4, 1, objects) + 1, rng.uniform(0.3, 1, objects)
    for place in range(objects):
        add_disc(planes, x[place], y[place], magnitude[place], scale[place], axis[place])
    wcs = tile_wcs(side, ra=20.0 + number * side * 0.3 / 3600, dec=-10.0)
    name = f"DES{number:04d}-1000"
    write_tile(folder, name, planes, wcs, compressed=True)
    sky = pixel_to_skycoord(x, y, wcs)
    return pa.table({
        "COADD_OBJECT_ID": 61_000_000_000 + number * 1_000_000 + np.arange(objects), "TILENAME": [name] * objects,
        "RA": sky.ra.deg, "DEC": sky.dec.deg,
        **{f"MAG_AUTO_{band}": magnitude.astype("f4") for band in "GRI"},
        "A_IMAGE": scale.astype("f4"), "KRON_RADIUS": np.full(objects, 3.5, "f4"),
    })  # fmt: skip


def add_disc(planes: np.ndarray, x: float, y: float, magnitude: float, scale: float, axis: float) -> None:
    """Add the light of one source, in a frame of eight of its scales, to each band."""
    reach = int(8 * scale)
    rows = slice(max(round(y) - reach, 0), round(y) + reach + 1)
    columns = slice(max(round(x) - reach, 0), round(x) + reach + 1)
    frame = planes[:, rows, columns]
    down, right = np.ogrid[rows.start : rows.start + frame.shape[1], columns.start : columns.start + frame.shape[2]]
    light = np.exp(-np.hypot(right - x, (down - y) / axis) / scale)
    frame += np.float32(10 ** (0.4 * (30 - magnitude)) / (2 * np.pi * scale**2 * axis)) * light.astype(np.float32)


def draw_labelled(folder: Path) -> None:
    """Write pictures of labelled galaxies: round ones and flat ones."""
    folder.mkdir()
    rows = ["object_id,file,label"]
    for number in range(1, LABELLED + 1):
        rng = np.random.default_rng((7, number))
        planes = rng.standard_normal((3, STAMP, STAMP), dtype=np.float32) * NOISE
        add_disc(planes, STAMP / 2, STAMP / 2, rng.uniform(17, 19), 4.0, 0.9 if number % 2 else 0.3)
        picture = np.clip(planes.transpose(1, 2, 0) + 20, 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{number}.png")
        rows.append(f"{number},{number}.png,{CLASSES[(number + 1) % 2]}")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")


def give_pool(workspace: Path) -> None:
    """Record what `assemble` would, of a target population that has every source."""
    from catbuilder.catalogue.workspace import Workspace

    with Workspace.open(workspace).recording("assemble") as recording:
        recording.con.execute("DELETE FROM splits WHERE survey = 'des'")
        for table, columns, source in (
            ("splits", "survey, object_id, 'pool' AS split", "objects WHERE survey = 'des'"),
            ("domains", "survey, object_id, 'in' AS domain", "objects WHERE survey = 'des'"),
            ("populations", "'des' AS survey, 'all' AS population", "(SELECT 1)"),
        ):
            recording.con.execute(
                f"INSERT INTO {table} BY NAME SELECT {columns}, $round AS round, $run AS run FROM {source}",
                {"round": recording.round, "run": recording.run},
            )


@contextmanager
def cluster_of(nodes: int) -> Iterator[str]:
    """Start a Ray cluster of a head without a core and nodes of one core on this machine; give its address."""
    if not nodes:
        yield ""
        return
    # below /tmp, in a folder of its own: the path of a socket has 107 characters at most
    with tempfile.TemporaryDirectory(prefix="cbr-", dir="/tmp") as folder:  # nosec B108
        (Path(folder) / "ray").mkdir()
        os.environ |= {"RAY_TMPDIR": folder, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32),
                       "RAY_USAGE_STATS_ENABLED": "0"}  # fmt: skip
        from ray.cluster_utils import Cluster

        made = Cluster()
        try:
            made.add_node(num_cpus=0, include_dashboard=False)
            for number in range(nodes):
                made.add_node(node_name=f"node-{number}", num_cpus=1, object_store_memory=STORE_BYTES)
            yield made.address
        finally:
            made.shutdown()


def give(workspace: Path, *words: str | Path) -> Spent:
    """Give a command of catbuilder, and measure it."""
    command = [str(Path(sys.executable).with_name("catbuilder")), "-w", str(workspace), *map(str, words)]
    sent, started = loopback(), time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Spent(time.perf_counter() - started, used.ru_utime + used.ru_stime, loopback() - sent)


def loopback() -> int:
    """Bytes sent over the loopback since the machine started, by all that runs on it."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    return next(int(line.split()[9]) for line in lines if line.strip().startswith("lo:"))


def takes_cluster(verb: str) -> bool:
    """Whether the verb has the option --cluster."""
    command = [str(Path(sys.executable).with_name("catbuilder")), *verb.split(), "--help"]
    return "--cluster" in subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def size_of(*paths: Path) -> int:
    return sum(file.stat().st_size for path in paths for file in ([path] if path.is_file() else path.rglob("*")))


def scored_in(workspace: Path) -> tuple[int, float]:
    """Objects that the round scored, and seconds from its training's end to the recording of the scores."""
    from catbuilder.catalogue.workspace import Workspace

    with Workspace.open(workspace).reading() as con:
        return con.execute(
            "SELECT (SELECT scored FROM scorings), epoch(max(recorded_at) FILTER (step = 'scored')) "
            "- epoch(max(recorded_at) FILTER (step = 'trained')) FROM steps"
        ).fetchall()[0]


def rehearse(folder: Path, tiles: int, side: int, nodes: int, round_words: list[str]) -> None:
    """Give every command in turn, then tell what they took and what the whole survey would."""
    from catbuilder.catalogue.new_workspace import create_workspace

    objects = max(1, round(side**2 / PIXELS_AN_OBJECT))
    tables = [draw_tile(folder / "tiles", number, side, objects) for number in range(tiles)]
    pq.write_table(pa.concat_tables(tables), folder / "objects.parquet")
    draw_labelled(folder / "labelled")
    workspace, spent = folder / "survey", dict[str, Spent]()
    create_workspace(workspace, stamp_size=STAMP)
    with cluster_of(nodes) as address:
        on = ["--cluster", address] if address else []
        on_tiles = on if takes_cluster("ingest tiles") else []
        spent["ingest des"] = give(workspace, "ingest", "des", folder / "objects.parquet")
        spent["ingest tiles"] = give(workspace, "ingest", "tiles", folder / "tiles", "--survey", "des", *on_tiles)
        table = folder / "labelled" / "table.csv"
        give(
            workspace, "ingest", "images", folder / "labelled", "--table", table, "--survey", "sdss", "--split", "train"
        )
        give_pool(workspace)
        spent["round"] = give(workspace, "round", "--n", "1", "--np", "1", *round_words, *on)
    spent["export"] = give(workspace, "export", folder / "catalogue.parquet")
    if nodes and not on_tiles:
        print("ingest tiles has no --cluster here: it ran on this machine's cores, as one node")
    cut, scored = tiles * objects, scored_in(workspace)
    at = {"tiles": nodes if on_tiles else 1, "scores": nodes or 1}
    tell(folder, spent, cut, scored, at)
    extrapolate(folder, spent, (tiles, side), cut, scored, at)


def tell(folder: Path, spent: dict[str, Spent], cut: int, scored: tuple[int, float], at: dict[str, int]) -> None:
    """Print what the commands took."""
    print(f"{'':16}{'seconds':>9}{'CPU s of the command':>22}{'MB over loopback':>18}")
    for name, took in spent.items():
        print(f"{name:16}{took.seconds:>9.1f}{took.coordinator_s:>22.1f}{took.sent / 1e6:>18.1f}")
    print(f"stamps {cut:,}: {cut / spent['ingest tiles'].seconds / at['tiles']:.0f} a second and node ({at['tiles']})")
    print(f"scores {scored[0]:,}: {scored[0] / scored[1]:.0f} a second and node ({at['scores']}), recording included")
    survey = folder / "survey"
    kept = {
        "tiles": folder / "tiles", "stamps": survey / "stamps", "catalogue file": survey / "catalog.duckdb",
        "of the round": survey / "rounds", "export": folder / "catalogue.parquet",
    }  # fmt: skip
    print("MB on disk: " + ", ".join(f"{name} {size_of(path) / 1e6:.1f}" for name, path in kept.items()))


def extrapolate(
    folder: Path,
    spent: dict[str, Spent],
    made: tuple[int, int],
    cut: int,
    scored: tuple[int, float],
    at: dict[str, int],
) -> None:
    """Print what all of DES would take, what breaks first, and what was assumed."""
    tiles, side = made
    cutting = DES_OBJECTS / cut * spent["ingest tiles"].seconds * at["tiles"] / 3600
    scoring = DES_OBJECTS / scored[0] * scored[1] * at["scores"] / 3600
    tile_bytes = size_of(folder / "tiles") / tiles * (DES_SIDE / side) ** 2 * DES_TILES
    print(f"\n{DES_TILES:,} tiles, {DES_OBJECTS:,} objects:")
    for what, hours in (("cutting", cutting), ("scoring", scoring)):
        print(
            f"{what:10}{hours:>10,.0f} node hours: " + ", ".join(f"{hours / n:,.1f} h on {n}" for n in (10, 100, 1000))
        )
    exported = DES_OBJECTS / cut * size_of(folder / "catalogue.parquet")
    print(
        f"read once {tile_bytes / 1e12:.1f} TB of tiles; written {DES_OBJECTS * STAMP**2 * 3 / 1e12:.1f} TB of stamps; "
        f"exported {exported / 1e9:.0f} GB"
    )
    if at["tiles"] > 1:
        own = DES_OBJECTS / cut * spent["ingest tiles"].coordinator_s / 3600
        print(f"the coordinator of the cutting: {own:,.1f} CPU hours; more than {cutting / own:,.0f} nodes wait for it")
    if at["scores"] > 1:
        sent = spent["round"].sent / scored[0]
        carried = DES_OBJECTS * STAMP**2 * 3 / 1e12
        print(
            f"sent for a round: {sent / 1e3:.1f} kB an object, {sent * DES_OBJECTS / 1e12:.2f} TB, as these nodes "
            f"share the workspace; to nodes that do not, the stamps too, {carried:.1f} TB"
        )
    for text in (
        f"as many sources a pixel as DES has (one in {PIXELS_AN_OBJECT:.0f}), so that a tile of {side} px stands for "
        "its share of one of 10,000",
        "nodes like these, of one core (without a cluster: of all cores here), which read and write as fast as here",
        "every source is cut and scored; seconds of each command include its start, which weighs on a small rehearsal",
        "the network is that of the recipe given; its training, which does not grow with the survey, is left out",
        "bytes over the loopback are of all that ran on this machine meanwhile",
    ):
        print(f"assumed: {text}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tiles", type=int, default=4)
    parser.add_argument("--side", type=int, default=2000, help="pixels of a tile's side; DES has 10,000")
    parser.add_argument("--nodes", type=int, default=2, help="nodes of one core; 0 for no cluster")
    parser.add_argument("--recipe", default="demo")
    parser.add_argument("--set", action="append", default=list(SHORT), help="a setting of the recipe, as `round --set`")
    parser.add_argument("--folder", type=Path, help="where everything is made, and removed again")
    given = parser.parse_args()
    words = ["--recipe", given.recipe, *(word for one in given.set for word in ("--set", one))]
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        rehearse(Path(name), given.tiles, given.side, given.nodes, words)
    return 0


if __name__ == "__main__":
    sys.exit(main())
