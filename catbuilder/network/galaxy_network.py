"""Build the network: a timm backbone, the head of Khan et al. (2019), and the preparation of stamps.

Stamps are prepared in two steps. `prepare` makes a float image in [0, 1] of the recipe's size; augmentation acts on
that. `forward` then does what must come after augmentation: conversion to grey, standardisation, and normalisation by
the backbone's own mean and standard deviation. If images were standardised before augmentation, a random background or
contrast would undo it, and training would see images that scoring never produces.
"""

from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from catbuilder.core.errors import ConfigError
from catbuilder.core.recipe import Network

_BRIGHT_SHARE = 0.01  # the brightest per cent of a stamp sets its scale: a core, not one hot pixel
_BRIGHT_LEVEL = 0.8  # that level after standardisation; there is room above it, since cores carry the bulge's colour
_FAINTEST_SCALE = 4 / 255  # lower limit, so that the noise of a blank stamp is not amplified


class GalaxyNetwork(nn.Module):
    """Backbone with global average pooling, two dense layers of `hidden` units, and one logit for each class."""

    mean: Tensor
    std: Tensor

    def __init__(self, settings: Network, n_classes: int) -> None:
        super().__init__()
        self.settings = settings
        backbone = _backbone(settings)
        self.backbone: nn.Module = backbone
        self.pretrained: dict[str, Any] = dict(backbone.pretrained_cfg)  # timm's description of its weights
        self.hidden_layers = nn.Sequential(
            nn.Linear(backbone.num_features, settings.hidden),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.hidden, settings.hidden),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(settings.hidden, n_classes)
        self.register_buffer("mean", _per_channel(self.pretrained["mean"]), persistent=False)
        self.register_buffer("std", _per_channel(self.pretrained["std"]), persistent=False)

    def prepare(self, stamps: Tensor) -> Tensor:
        """Turn stamps, uint8 (n, size, size, 3), into images, float32 (n, 3, width, width) from 0 to 1."""
        images = stamps.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)
        size = self.settings.image_size
        if images.shape[-1] == size:
            return images.contiguous()
        # Antialiased: a large stamp is averaged, as by a camera with coarser pixels, and not subsampled.
        resized = F.interpolate(images, (size, size), mode="bilinear", antialias=True, align_corners=False)
        return resized.contiguous().clamp_(0.0, 1.0)

    def features(self, images: Tensor) -> Tensor:
        """Compute the activations of the last hidden layer, float32 (n, hidden), for images from `prepare`."""
        pooled = self.backbone(self._as_backbone_wants(images))
        # The head stays in fp32 under autocast: with the 8 bits of bf16 the most confident objects would tie.
        with torch.autocast(pooled.device.type, enabled=False):
            return self.hidden_layers(pooled.float())

    def classify(self, features: Tensor) -> Tensor:
        """Compute logits, float32 (n, classes), from features."""
        with torch.autocast(features.device.type, enabled=False):
            return self.classifier(features)

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits, float32 (n, classes), for images from `prepare`, augmented or not."""
        return self.classify(self.features(images))

    def _as_backbone_wants(self, images: Tensor) -> Tensor:
        if self.settings.grey:
            images = images.mean(1, keepdim=True).expand_as(images)
        if self.settings.standardise == "background":
            images = standardise_background(images)
        images = (images - self.mean) / self.std
        layout = torch.channels_last if self._is_channels_last() else torch.contiguous_format
        return images.contiguous(memory_format=layout)

    def _is_channels_last(self) -> bool:
        first = next(p for p in self.backbone.parameters() if p.dim() == 4)
        return first.is_contiguous(memory_format=torch.channels_last)


def build_network(settings: Network, n_classes: int, seed: int = 0) -> GalaxyNetwork:
    """Build the network with random weights, determined by `seed` alone.

    Raises
    ------
    ConfigError
        timm has no backbone of that name.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GalaxyNetwork(settings, n_classes)


def set_trainable_from(network: GalaxyNetwork, first: str) -> None:
    """Freeze the backbone before the module `first`; let the rest and the head learn.

    Parameters
    ----------
    first : "head" freezes the backbone, "all" nothing; else the name of a backbone module ("block4" or
        "block4.rep.4"), from which on, in order of definition, parameters learn

    Raises
    ------
    ConfigError
        The backbone has no such module.
    """
    learns = first == "all"
    for name, parameter in network.backbone.named_parameters():
        learns = learns or name.startswith(first + ".")
        parameter.requires_grad_(learns)
    if not learns and first != "head":
        known = [name for name, child in network.backbone.named_children() if list(child.parameters())]
        raise ConfigError(
            f"training.stages: train_from is '{first}', but {network.settings.backbone} has no such module "
            f"with parameters; use head, all, one of {', '.join(known)}, or a module inside one of these"
        )


def train_mode(network: GalaxyNetwork, frozen: bool = False) -> None:
    """Put the network in training mode, but let frozen batch normalisations use their stored statistics.

    Parameters
    ----------
    frozen : all of them are; otherwise only those whose weights do not learn
    """
    network.train()
    for module in network.backbone.modules():
        learns = any(p.requires_grad for p in module.parameters(recurse=False))
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and (frozen or not learns):
            module.eval()


def standardise_background(images: Tensor) -> Tensor:
    """Subtract each image's sky level and scale its bright level to a common value.

    The sky is the median of a border ring, for each band, since its colour comes from the rendering. The bright level
    is the same for all bands, since the galaxy's colour is real. Both are measured at half resolution, which halves
    their noise and takes a quarter of the time.

    Parameters
    ----------
    images : float (n, 3, size, size) in [0, 1]

    Returns
    -------
    float (n, 3, size, size) in [-0.25, 1.5], the sky at 0
    """
    small = F.avg_pool2d(images, 2)
    sky = _ring(small).sort(dim=-1).values
    sky = sky[..., sky.shape[-1] // 2, None, None]
    light = (small - sky).mean(1).flatten(1)
    brightest = light.topk(max(1, round(_BRIGHT_SHARE * light.shape[1])), dim=1).values
    scale = brightest[:, -1].clamp(min=_FAINTEST_SCALE)[:, None, None, None]
    return ((images - sky) * (_BRIGHT_LEVEL / scale)).clamp_(-0.25, 1.5)


def _ring(images: Tensor) -> Tensor:
    """Take the pixels of a border ring, a sixteenth of the width wide: (n, 3, pixels)."""
    width = max(1, images.shape[-1] // 16)
    sides = (
        images[..., :width, :],
        images[..., -width:, :],
        images[..., width:-width, :width],
        images[..., width:-width, -width:],
    )
    return torch.cat([side.flatten(2) for side in sides], dim=2)


def _backbone(settings: Network) -> Any:
    if not timm.is_model(settings.backbone):
        near = timm.list_models(f"*{settings.backbone.split('_')[0]}*")[:5]
        hint = f", for example {', '.join(near)}" if near else ""
        raise ConfigError(
            f"network.backbone: timm has no network '{settings.backbone}'; give the name of a timm model{hint}"
        )
    return timm.create_model(settings.backbone, pretrained=False, num_classes=0, global_pool="avg")


def _per_channel(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, 3, 1, 1)
