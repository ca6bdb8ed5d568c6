"""Read the stamps, targets and weights of a training manifest.

Labelled images come first, then the images that teach without a label, whose target is the prediction of earlier
rounds' models. A batch names its images by their position in this order.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from torch import Tensor

from catbuilder.core.stamps import StampReader
from catbuilder.network.batches import Positions
from catbuilder.network.jobs import TrainJob


class Examples:
    """The manifest's stamps of some roles ('training', 'teaching', 'validation'), one role after the other.

    Attributes
    ----------
    counts : number of images of each role
    labels : int64 (n), index of the class; of an image without a label, the class of highest posterior
    surveys : text (n)
    weights : float32 (n), or None if every image counts alike
    posteriors : float32 (n, classes), or None if every target is a class
    """

    def __init__(self, job: TrainJob, *roles: str) -> None:
        whole = pq.read_table(job.manifest, read_dictionary=["survey", "shard", "role"])
        parts = [whole.filter(pc.equal(whole["role"], role)) for role in roles]
        table = pa.concat_tables(parts)
        self.counts = [part.num_rows for part in parts]
        self.labels: npt.NDArray[np.int64] = table["label"].to_numpy().astype(np.int64)
        self.surveys = np.asarray(table["survey"].to_pylist(), dtype=str)
        self.weights: npt.NDArray[np.float32] | None = None
        if "weight" in table.column_names and np.any(table["weight"].to_numpy() != 1):
            self.weights = table["weight"].to_numpy().astype(np.float32)
        self.posteriors: npt.NDArray[np.float32] | None = None
        if "posterior" in table.column_names and table["posterior"].null_count < table.num_rows:
            self.posteriors = _filled(table["posterior"], self.labels, len(job.classes))
        self.reader = StampReader(job.workspace, table["shard"], table["row"].to_numpy())

    def __len__(self) -> int:
        return len(self.labels)

    def loss(self, logits: Tensor, batch: Positions, label_smoothing: float) -> Tensor:
        """Compute the mean weighted cross-entropy of logits, (len(batch), classes), to the targets of a batch."""
        target = torch.from_numpy(self.labels[batch] if self.posteriors is None else self.posteriors[batch])
        target = target.to(logits.device)
        if self.weights is None:
            return F.cross_entropy(logits, target, label_smoothing=label_smoothing)
        each = F.cross_entropy(logits, target, label_smoothing=label_smoothing, reduction="none")
        return (each * torch.from_numpy(self.weights[batch]).to(each.device)).mean()


def _filled(column: pa.ChunkedArray, labels: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.float32]:
    """Make posteriors of all images: of a labelled one, all in its class."""
    filled = np.eye(classes, dtype=np.float32)[labels]
    known = np.asarray(column.is_valid())
    filled[known] = np.array(column.drop_null().to_pylist(), np.float32).reshape(-1, classes)
    return filled
