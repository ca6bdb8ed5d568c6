"""Train as one rank of several, and write the hash of its own network: `python -m support.replica JOB`."""

import hashlib
import sys
from pathlib import Path

from catbuilder.core.files import write_text
from catbuilder.network import distributed
from catbuilder.network.checkpoint import state_copy
from catbuilder.network.jobs import TrainJob
from catbuilder.network.train import Trainer


def main(file: Path) -> None:
    job = TrainJob.model_validate_json(file.read_text())
    distributed.init()
    trainer = Trainer(job)
    trainer.run()
    state = state_copy(trainer.network)
    digest = hashlib.sha256(b"".join(state[name].numpy().tobytes() for name in sorted(state))).hexdigest()
    write_text(job.folder / f"replica-{distributed.rank()}", digest)
    distributed.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
