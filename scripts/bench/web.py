"""How fast the web page answers over a catalogue of a million objects or more.

The first page of the catalogue is asked for by a client on the loopback, from a server in a process of its own, and
beside it, in the same run: a server of the same kind that only says hello, and DuckDB alone with that page's query.
The bar is on the whole answer; the two beside it say where the time goes.

    python scripts/bench/web.py [--objects 1000000] [--folder F]

Exits with 1 if the first page takes 300 ms or more (median of its repetitions).
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import catalogue
import httpx

BAR_MS = 300.0
REPEATS = 15
HELLO = """
import socket, sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/")
def hello():
    return "hello"
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listener.bind(("127.0.0.1", 0))
listener.listen(128)
print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
uvicorn.Server(uvicorn.Config(app, http="h11", ws="none", lifespan="off", access_log=False, log_level="warning")).run([listener])
"""  # noqa: E501
PAGES = {
    "first page": "/",
    "a page in the middle": "/?after=des:{middle}",
    "filter: spiral above 0.999": "/?predicted=spiral&least=0.999",
    "filter: promoted spirals": "/?label=spiral&source=promoted",
    "filter: a cone of 10 arcmin": "/?ra=10&dec=-59&radius=10",
    "filter: mag r 14 to 15": "/?brightest=14&faintest=15",
    "filter: nothing passes": "/?domain=star",
    "an object": "/objects/des/{middle}",
}


def build(folder: Path, objects: int) -> Path:
    """A catalogue of a DES-like survey with a round of scores, by the steps of the catalogue's own benchmark."""
    from catbuilder.catalogue.new_workspace import create_workspace

    workspace, source, shards = folder / "survey", folder / "des", folder / "shards" / "1"
    create_workspace(workspace)
    catalogue.write_source(source, objects)
    catalogue.write_scores(shards, 1, objects)
    catalogue.measured("ingest", workspace, source, objects)
    catalogue.measured("furnish", workspace, source, objects)
    catalogue.begin_round(workspace, 1, objects)
    for step in ("scores", "promotion", "close"):
        catalogue.measured(step, workspace, shards, objects)
    return workspace


def started(command: list[str]) -> tuple[subprocess.Popen[str], str]:
    """A server, and the address that it prints."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return process, found[0]
    raise SystemExit(f"{command[0]} ended with {process.wait()} and served nothing")


def timed(call: Callable[[], object]) -> list[float]:
    """Milliseconds of each repetition, the first and cold one apart from the others at the front."""
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - start))
    return taken


def asked(client: httpx.Client, path: str) -> Callable[[], object]:
    """A call that gets a page, all of it."""

    def get() -> None:
        answered = client.get(path)
        if answered.status_code != 200:
            raise SystemExit(f"{path} answered {answered.status_code}")

    return get


def duckdb_alone(workspace: Path) -> Callable[[], object]:
    """A call that opens the file and asks for the first page's rows, through no code of ours but the views."""
    import duckdb

    last = catalogue.ids_of(50, 51)[0]

    def query() -> None:
        with duckdb.connect(str(workspace / "catalog.duckdb"), read_only=True) as con:
            text = "FROM catalog WHERE survey = 'des' AND object_id <= ? ORDER BY object_id LIMIT 51"
            con.execute(text, [int(last)]).fetchall()

    return query


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the catalogue is made, and removed again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        workspace = build(Path(name), given.objects)
        return measure(workspace, given.objects)


def measure(workspace: Path, objects: int) -> int:
    catbuilder = str(Path(sys.executable).with_name("catbuilder"))
    hello, hello_address = started([sys.executable, "-c", HELLO])
    server, address = started([catbuilder, "-w", str(workspace), "serve", "--port", "0", "--no-browser"])
    try:
        print(
            f"{objects:,} objects, {REPEATS} times each, ms\n{'':34}{'first':>9}{'median':>9}{'slowest':>9}{'bar':>7}"
        )
        middle = str(catalogue.ids_of(objects // 2, objects // 2 + 1)[0])
        with httpx.Client(base_url=address.partition("?")[0], follow_redirects=True, timeout=120) as client:
            client.get(address.replace("/?", "/sql?"))  # lets us in by another page: the first page stays cold
            kept = True
            for what, path in PAGES.items():
                bar = BAR_MS if what == "first page" else None
                kept &= tell(what, timed(asked(client, path.format(middle=middle))), bar)
        with httpx.Client(base_url=hello_address) as client:
            tell("a server that says hello", timed(asked(client, "/")))
        tell("DuckDB alone, the first page", timed(duckdb_alone(workspace)))
    finally:
        for process in (server, hello):
            process.terminate()
            process.wait()
    return 0 if kept else 1


def tell(what: str, taken: list[float], bar: float | None = None) -> bool:
    median = statistics.median(taken)
    missed = bar is not None and median >= bar
    print(f"{what:34}{taken[0]:>9.1f}{median:>9.1f}{max(taken):>9.1f}{f'{bar:.0f}' if bar else '':>7}"
          f"{'  MISSED' if missed else ''}", flush=True)  # fmt: skip
    return not missed


if __name__ == "__main__":
    sys.exit(main())
