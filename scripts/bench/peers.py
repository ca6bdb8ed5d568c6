"""The catalogue beside what else would hold it: SQLite, pandas with Parquet, astropy tables with FITS.

Each holds the same objects and one round of scores, records another round so that it is on the disk, counts objects by
label and predicted class with the newest scores, and finds one object by its id. The peers do only that: they know no
history, no test sets and no domains, all of which ours joins in. So this says what the record costs, not who is faster.

    python scripts/bench/peers.py [--objects 1000000]

There is no bar: the table is the result.
"""

import argparse
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import catalogue as whole
import numpy as np
import pandas as pd
from astropy.table import Table, join

LABELLED = 100  # every so many objects has a label


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def rows_of(objects: int, model: int) -> pd.DataFrame:
    """Objects with a score, and a label of some."""
    rng = np.random.default_rng(model)
    p = (1 / (1 + np.exp(-rng.normal(0, 3, objects)))).astype(np.float32)
    return pd.DataFrame({"object_id": whole.ids_of(0, objects), "model": model, "p_elliptical": p, "p_spiral": 1 - p})


def labels_of(objects: int) -> pd.DataFrame:
    ids = whole.ids_of(0, objects)[::LABELLED]
    return pd.DataFrame({"object_id": ids, "label": np.where(ids % 2, "spiral", "elliptical")})


def in_sqlite(folder: Path, objects: int) -> list[float]:
    con = sqlite3.connect(folder / "peer.sqlite")
    con.execute("CREATE TABLE scores (object_id INTEGER, model INTEGER, p_elliptical REAL, p_spiral REAL)")
    con.execute("CREATE TABLE labels (object_id INTEGER PRIMARY KEY, label TEXT)")
    con.execute("CREATE INDEX by_object ON scores (object_id, model)")
    con.executemany("INSERT INTO labels VALUES (?, ?)", labels_of(objects).itertuples(index=False))
    con.executemany("INSERT INTO scores VALUES (?, ?, ?, ?)", rows_of(objects, 1).itertuples(index=False))
    con.commit()
    new = rows_of(objects, 2)

    def record() -> None:
        con.executemany("INSERT INTO scores VALUES (?, ?, ?, ?)", new.itertuples(index=False))
        con.commit()

    counting = ("SELECT label, p_elliptical > p_spiral, count(*) FROM scores LEFT JOIN labels USING (object_id) "
                "WHERE model = 2 GROUP BY 1, 2")  # fmt: skip
    one = (int(whole.ids_of(objects // 3, objects // 3 + 1)[0]),)
    return [timed(record), timed(lambda: con.execute(counting).fetchall()),
            timed(lambda: con.execute("SELECT * FROM scores WHERE object_id = ?", one).fetchall())]  # fmt: skip


def in_pandas(folder: Path, objects: int) -> list[float]:
    old, new, labels = rows_of(objects, 1), rows_of(objects, 2), labels_of(objects)

    def count() -> object:
        newest = pd.concat([old, new]).sort_values("model").drop_duplicates("object_id", keep="last")
        merged = newest.merge(labels, on="object_id", how="left")
        return merged.groupby(["label", merged["p_elliptical"] > merged["p_spiral"]], dropna=False).size()

    one = whole.ids_of(objects // 3, objects // 3 + 1)[0]
    return [timed(lambda: new.to_parquet(folder / "peer.parquet")), timed(count),
            timed(lambda: [scored[scored["object_id"] == one] for scored in (old, new)])]  # fmt: skip


def in_astropy(folder: Path, objects: int) -> list[float]:
    new, labels = Table.from_pandas(rows_of(objects, 2)), Table.from_pandas(labels_of(objects))

    def count() -> object:
        merged = join(new, labels, keys="object_id", join_type="left")
        merged["elliptical"] = merged["p_elliptical"] > merged["p_spiral"]
        return [len(group) for group in merged.group_by("elliptical").groups]

    one = whole.ids_of(objects // 3, objects // 3 + 1)[0]
    return [timed(lambda: new.write(folder / "peer.fits")), timed(count), timed(lambda: new[new["object_id"] == one])]


def in_catbuilder(folder: Path, objects: int) -> list[float]:
    from catbuilder.catalogue.new_workspace import create_workspace
    from catbuilder.catalogue.workspace import Workspace
    from catbuilder.inspection.counts import count_objects
    from catbuilder.inspection.why import why

    workspace, source = folder / "survey", folder / "des"
    create_workspace(workspace)
    whole.write_source(source, objects)
    whole.ingest(workspace, source, objects)
    whole.furnish(workspace, source, objects)
    for number in (1, 2):
        shards = folder / str(number)
        whole.write_scores(shards, number, objects)
        whole.begin_round(workspace, number, objects)
        recording = timed(lambda shards=shards: whole.scores(workspace, shards, objects))
        whole.promotion(workspace, shards, objects)
        whole.close_round(workspace, shards, objects)
    opened, one = Workspace.open(workspace), str(whole.ids_of(objects // 3, objects // 3 + 1)[0])
    return [recording, timed(lambda: count_objects(opened, ["label", "predicted_label"])),
            timed(lambda: why(opened, one))]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--objects", type=int, default=1_000_000)
    objects = parser.parse_args().objects
    assert whole.plan_of(1, objects).classes == ("elliptical", "spiral")  # the columns that the peers hold too
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = in_catbuilder(folder, objects)
        peers = {"SQLite": in_sqlite, "pandas, Parquet": in_pandas, "astropy, FITS": in_astropy}
        spent = {"catbuilder": ours} | {peer: work(folder, objects) for peer, work in peers.items()}
    print(f"{objects:,} objects{'':16}{'record a round':>16}{'count':>18}{'find one':>18}")
    for who, seconds in spent.items():
        cells = "".join(f"{s:>9.3f} s {s / o:>5.2f}x" for s, o in zip(seconds, ours, strict=True))
        print(f"{who:26}{cells}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
