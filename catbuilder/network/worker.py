"""Start worker processes, report their errors, and log their progress."""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError

from catbuilder.core.errors import CatbuilderError
from catbuilder.core.processes import end_with_parent

_LINE_EVERY = 0.25  # seconds between progress lines


def prepare_process(coordinator: int, threads: int) -> None:
    """Prepare a worker: it ends with the coordinator, uses the planned threads, and computes deterministically."""
    end_with_parent(coordinator)
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is not deterministic without it
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # (filling takes time, and nothing here reads uninitialised memory)
    torch.backends.cudnn.benchmark = False  # it would choose kernels by their speed, which varies
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def run_worker(main: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> None:
    """Run a worker's main; print an error that a user can fix as one line on stderr, with exit code 1."""
    try:
        main(arguments)
    except (CatbuilderError, OSError, SafetensorError) as error:
        try:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:  # stderr is a file, and its disk may be full
            # Not sys.exit: a failing rank must not wait at exit for ranks that wait for it.
            os._exit(1)


class EventLog:
    """Writes JSON lines, each flushed, from which the coordinator draws its progress bar.

    Parameters
    ----------
    path : the file, overwritten if it exists; None writes nothing (for all ranks but rank 0)
    """

    def __init__(self, path: Path | None) -> None:
        self._file = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115 (open as long as the process)
        self.restart_clock()

    def restart_clock(self) -> None:
        """Restart the clock of `seconds`, and make the next progress line due at once."""
        self._started = time.monotonic()
        self._last = -_LINE_EVERY

    def seconds(self) -> float:
        """Give the seconds since the clock was started."""
        return time.monotonic() - self._started

    def is_due(self) -> bool:
        """Whether it is time for another progress line; true at most four times a second."""
        if self._file is None or self.seconds() - self._last < _LINE_EVERY:
            return False
        self._last = self.seconds()
        return True

    def write(self, event: str, **values: object) -> None:
        """Write one line `{"event": event, ...}`."""
        if self._file is not None:
            self._file.write(json.dumps({"event": event, **values}) + "\n")
            self._file.flush()
