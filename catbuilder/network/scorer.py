"""Score batches of stamps with a finished network or an ensemble.

Scoring is deterministic: eval mode, no augmentation, and batches of one fixed size, the last one padded, so that a
stamp's posterior does not depend on the other stamps of its batch. A batch takes two calls: `begin` submits it to the
device and returns at once on a GPU; `finish` waits for the numbers. Between the two the next batch can be submitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import entr
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from catbuilder.core.errors import ConfigError
from catbuilder.network import distributed
from catbuilder.network.galaxy_network import GalaxyNetwork

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Posteriors (n, classes) and features (n, hidden) of n stamps; of an ensemble mutual information (n), nats."""

    # float64, so that the posteriors of an object sum to 1 to the last digit of the stored float32
    posteriors: Doubles
    features: Floats
    mutual_information: Doubles | None = None
    own: "Scores | None" = None  # of a mean of rounds: what the newest round's networks alone give

    def rounded(self) -> "Scores":
        """Give these scores as files keep them, in float32."""
        information = self.mutual_information
        if information is not None:
            information = information.astype(np.float32).astype(np.float64)
        return replace(
            self, posteriors=self.posteriors.astype(np.float32).astype(np.float64), mutual_information=information
        )


@dataclass(frozen=True)
class EarlierPosteriors:
    """What an earlier round's networks give for n stamps, in float32's digits: (n, classes) and (n), nats."""

    posteriors: Doubles
    mutual_information: Doubles  # 0 for a single network
    networks: int


@dataclass(frozen=True)
class PendingScores:
    """Scores of one network for a batch, perhaps still being computed: float64 (n, classes), float32 (n, hidden)."""

    posteriors: Tensor
    features: Tensor


class Scorer:
    """Scores batches of stamps of one fixed size with one network.

    Raises
    ------
    ConfigError
        `compiled` is set, and the network cannot be compiled on this machine.
    """

    def __init__(
        self,
        network: GalaxyNetwork,
        batch_size: int,
        symmetries: int,
        bf16: bool,
        channels_last: bool,
        compiled: bool = False,
    ) -> None:
        self.device = distributed.device()
        self.network = network.eval().to(self.device)
        if channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)
        self.batch_size, self.symmetries, self.bf16 = batch_size, symmetries, bf16
        self._features = self.network.features
        if compiled:
            self._compile()

    @torch.inference_mode()
    def begin(self, stamps: Tensor) -> PendingScores:
        """Submit up to `batch_size` stamps, uint8 (n, size, size, 3), to the device."""
        n = len(stamps)
        if n < self.batch_size:
            stamps = torch.cat([stamps, stamps[-1:].expand(self.batch_size - n, *stamps.shape[1:])])
        images = self.network.prepare(stamps.to(self.device, non_blocking=True))
        posteriors, features = [], []
        for view in _views(images, self.symmetries):
            features.append(self._features_of(view))
            posteriors.append(self.network.classify(features[-1]).double().softmax(1))
        return PendingScores(torch.stack(posteriors).mean(0)[:n], torch.stack(features).mean(0)[:n])

    def score(self, stamps: Tensor) -> Scores:
        """Score up to `batch_size` stamps, uint8 (n, size, size, 3)."""
        return Ensemble([self]).score(stamps)

    def _features_of(self, images: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            # A turned view has other strides, for which the network would be compiled again.
            return self._features(images.contiguous())

    @torch.inference_mode()
    def _compile(self) -> None:
        """Compile for the fixed batch shape now, so that a compile error is not confused with a scoring error."""
        # Compile in this process: torch's pool of compiling processes would survive a worker that is killed.
        torch._inductor.config.compile_threads = 1
        self._features = torch.compile(self.network.features, dynamic=False)
        size = self.network.settings.image_size
        try:
            self._features_of(torch.zeros(self.batch_size, 3, size, size, device=self.device))
        except (TorchDynamoException, OSError, RuntimeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ConfigError(
                f"{self.network.settings.backbone} cannot be compiled here ({reason}); install a C++ compiler such as "
                "g++, or set scoring.compile to false"
            ) from None


class Ensemble:
    """Scores with one or several networks: the mean of their posteriors, and the features of the first.

    Only the features of member 0 are kept. The features of two trainings have unrelated axes, so that their mean is
    meaningless, and distances between samples need one feature space.
    """

    def __init__(self, members: Sequence[Scorer]) -> None:
        self.members = members
        self.batch_size = members[0].batch_size
        self.device = members[0].device

    def begin(self, stamps: Tensor) -> list[PendingScores]:
        """Submit up to `batch_size` stamps, uint8 (n, size, size, 3), to the device, for each member in turn."""
        return [member.begin(stamps) for member in self.members]

    def finish(self, begun: Sequence[PendingScores]) -> Scores:
        """Wait for submitted scores and copy them to host memory."""
        posteriors = np.stack([each.posteriors.cpu().numpy() for each in begun])
        disagreement = mutual_information(posteriors) if len(begun) > 1 else None
        return Scores(posteriors.mean(0), begun[0].features.cpu().numpy(), disagreement)

    def score(self, stamps: Tensor) -> Scores:
        """Score up to `batch_size` stamps, uint8 (n, size, size, 3)."""
        return self.finish(self.begin(stamps))


def mutual_information(posteriors: Doubles) -> Doubles:
    """Compute the mutual information of an ensemble (BALD), nats: how much its members disagree.

    It is the entropy of the mean posterior minus the mean entropy of the members' posteriors: 0 if all members give the
    same posterior, and at most the logarithm of the number of members or classes, whichever is smaller (Houlsby et al.
    2011, arXiv:1112.5745).

    Parameters
    ----------
    posteriors : (members, n, classes)
    """
    disagreement: Doubles = entr(posteriors.mean(0)).sum(1) - entr(posteriors).sum(2).mean(0)
    return disagreement.clip(min=0.0)  # rounding may give a tiny negative number where members agree


def mean_of_rounds(newest: Scores, networks: int, earlier: Sequence[EarlierPosteriors]) -> Scores:
    """Average the posteriors of the newest round's networks and those of earlier rounds, each network alike.

    Each round's posteriors are taken as files keep them. So the mean has the same bits whether an earlier round's are
    read from its files or its networks are run again.

    Parameters
    ----------
    newest : by the networks of the newest round alone; its features are kept
    networks : how many these are
    """
    own = newest.rounded()
    information = np.zeros(len(own.posteriors)) if own.mutual_information is None else own.mutual_information
    rounds = [EarlierPosteriors(own.posteriors, information, networks), *earlier]
    total = sum(each.networks for each in rounds)
    mean = np.stack([each.networks * each.posteriors for each in rounds]).sum(0) / total
    # the mean entropy of a round's networks is the entropy of their mean less their mutual information
    entropies = [each.networks * (entr(each.posteriors).sum(1) - each.mutual_information) for each in rounds]
    disagreement: Doubles = entr(mean).sum(1) - np.stack(entropies).sum(0) / total
    return Scores(mean, newest.features, disagreement.clip(min=0.0), own)


def _views(images: Tensor, symmetries: int) -> list[Tensor]:
    """Make the views to average over. 1: the image; 2: and its mirror image; 4: its turns; 8: and their mirrors."""
    if symmetries <= 2:
        return [images, images.flip(3)][:symmetries]
    turns = [torch.rot90(images, k, (2, 3)) for k in range(4)]
    return turns if symmetries == 4 else turns + [turn.flip(3) for turn in turns]
