"""A small survey with real stamps and one closed round, and a real server that shows it."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from support.command_line import CATBUILDER, hear_ctrl_c
from support.new_workspace import create_workspace
from support.small_survey import Source, bring_in
from support.workspaces import SIZE, close_round, galaxy, label_event, write_csv

from catbuilder.catalogue.workspace import Workspace
from catbuilder.sets.crossmatch import crossmatch
from catbuilder.sets.testsets import add_test_set

CLASSES = ("elliptical", "spiral")
TRAIN, HP, POOL = 587724240151700000, 310500000, 310700000  # first ids; those of SDSS lie beyond what a float can hold
N_TRAIN, N_HP, N_POOL = 20, 4, 40


def kind(i: int) -> str:
    return CLASSES[i % 2]


def build_served(folder: Path) -> Workspace:
    """SDSS galaxies to train on; a DES pool, five of it seen by SDSS too; HP; a round that promoted two."""
    workspace = create_workspace(folder / "ws", CLASSES, SIZE)
    add_test_set(workspace, "HP", write_csv(folder / "hp.csv", ["object_id", "label"],
                                            *([HP + i, kind(i)] for i in range(N_HP))), survey="des")  # fmt: skip
    train = [(Source(TRAIN + i, 100 + i, 2.0, kind(i)), galaxy(100 + i)) for i in range(N_TRAIN)]
    hp = [(Source(HP + i, 200 + i, -9.0), galaxy(300 + i)) for i in range(N_HP)]
    pool = [(Source(POOL + i, 100 + i, 32.0, split="pool"), galaxy(400 + i)) for i in range(N_POOL)]
    twins = [(Source(TRAIN + 50 + i, 100 + i, 32.0, domain="star"), galaxy(500 + i)) for i in range(5)]
    bring_in(workspace, folder / "train", "sdss", train)
    bring_in(workspace, folder / "twins", "sdss", twins)
    bring_in(workspace, folder / "hp", "des", hp)
    bring_in(workspace, folder / "pool", "des", pool)
    crossmatch(workspace, 1.0, None)
    spiral = {POOL + i: (0.02 + 0.95 * (i % 2)) * (1 - i / 100) for i in range(N_POOL)}
    posteriors = {("des", object_id): (1 - p, p) for object_id, p in spiral.items()}
    posteriors |= {("des", HP + i): (0.9, 0.1) if i % 2 == 0 else (0.1, 0.9) for i in range(N_HP)}
    promoted = [
        label_event("des", POOL + i, kind(i), "promoted", confidence=0.97, reason="top_k: 1 of the 1 surest")
        for i in range(2)
    ]
    close_round(workspace, dict(sorted(posteriors.items())), promoted)
    keep_features(workspace, {POOL + i: [1.0, i / 10] for i in range(10)})
    return workspace


def keep_features(workspace: Workspace, features: dict[int, list[float]]) -> None:
    """Features of DES objects, as the scoring of round 1 keeps them."""
    flat = pa.array(np.array(list(features.values()), np.float32).reshape(-1))
    columns = {"survey": ["des"] * len(features), "object_id": pa.array(list(features), pa.int64())}
    columns["features"] = pa.FixedSizeListArray.from_arrays(flat, 2)
    pq.write_table(pa.table(columns), workspace.round_folder(1) / "scores" / "features-00000.parquet")


@dataclass(frozen=True)
class Served:
    """A workspace and the server that shows it."""

    workspace: Workspace
    process: subprocess.Popen[str]
    address: str  # with the token

    @property
    def origin(self) -> str:
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}"

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """A client that has come by the printed address, and follows as a browser would."""
        own = {"Origin": self.origin}
        with httpx.Client(base_url=self.origin, follow_redirects=True, headers=own, timeout=120) as client:
            assert client.get(self.address).status_code == 200
            yield client


def start_serving(
    workspace: Workspace, browser: bool = False, kind: type[subprocess.Popen[str]] = subprocess.Popen
) -> Served:
    """Start `catbuilder serve` on a free port and wait until it says where."""
    options = () if browser else ("--no-browser",)
    process = kind(
        [CATBUILDER, "-w", str(workspace.path), "serve", "--port", "0", *options],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return Served(workspace, process, found[0])
    raise AssertionError(process.communicate()[1])


def stop_serving(served: Served) -> str:
    """Stop it as a person would, by Ctrl-C; gives what it said on standard error."""
    served.process.send_signal(signal.SIGINT)
    _, err = served.process.communicate(timeout=120)
    assert served.process.returncode == 0, err
    return err
