"""On a node of a Ray cluster, start one worker process and say how it fares.

The worker is the same process as on one machine, so its code knows nothing of Ray and its bits are the same. Ray ends
its attendant, an actor, with the coordinator or the node; the kernel then ends the worker, which is its child.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

from catbuilder.core.carry import News, NodeFolder
from catbuilder.core.processes import PARENT_VARIABLE
from catbuilder.core.version import versions_that_matter
from catbuilder.rounds.launch.processes import Worker, start_worker
from catbuilder.rounds.launch.ranks import LOCALHOST, interface_towards, meet

POLL_S = 0.25


class Attendant:
    """Ray actor that starts a worker process as its child."""

    _files: NodeFolder | None = None
    _written: Path | None = None  # folder of what the worker writes, if the coordinator does not see it

    def about(self, token: Path) -> tuple[str, bool, dict[str, str]]:
        """Give the node's id, whether it sees a file that the coordinator has just written, and its versions."""
        import ray

        return ray.get_runtime_context().get_node_id(), token.is_file(), versions_that_matter()

    def meet(self, places: Sequence[str]) -> list[dict[str, str]]:
        """Start the rendezvous server of all ranks; asked of the attendant of rank 0."""
        import ray

        alone = len(set(places)) == 1
        self._server, ranks = meet(places, LOCALHOST if alone else ray.util.get_node_ip_address())
        return ranks

    def files(self, key: str, method: str, *arguments: Any) -> Any:
        """Call a method of the folder of files that a coordinator sends."""
        self._files = self._files or NodeFolder(key)
        return getattr(self._files, method)(*arguments)

    def start(self, worker: Worker, job: str) -> None:
        """Start the worker; its job is given as text if it is to read the files that were sent."""
        if job:
            self._written = worker.job.parent
            self._written.mkdir(parents=True)
            worker.job.write_text(job, encoding="utf-8")
        environment = {**worker.environment, PARENT_VARIABLE: str(os.getpid())}
        address = environment.get("HOROVOD_GLOO_RENDEZVOUS_ADDR")
        if address and "HOROVOD_GLOO_IFACE" not in {**os.environ, **environment}:
            environment["HOROVOD_GLOO_IFACE"] = interface_towards(address)
        self._process = start_worker(replace(worker, environment=environment))

    def look(self, known: Mapping[str, int]) -> tuple[int | None, list[News]]:
        """Wait a moment for the worker to end; give its exit code, if any, and what it wrote that has to be carried."""
        with suppress(TimeoutExpired):
            self._process.wait(POLL_S)
        code = self._process.poll()
        return code, self._files.news(self._written, known) if self._files and self._written else []
