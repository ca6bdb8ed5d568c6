"""Augment batches of training images on the device: the paper's geometry, and survey shift.

Survey shift lets labels from one survey train a network for another: colour (mixed towards grey), band gains, stretch,
contrast, sky level, noise and seeing vary at random in training, so that the network does not rely on them. Every image
has its own random numbers, and all of them come from the generator passed in.
"""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from catbuilder.core.recipe import Augmentation


def augment(images: Tensor, settings: Augmentation, generator: Generator) -> Tensor:
    """Augment images for a training step: geometry, then survey shift.

    Parameters
    ----------
    images : float32 (n, 3, size, size) in [0, 1]
    generator : on the images' device; the only source of randomness

    Returns
    -------
    float32 (n, 3, size, size) in [0, 1]
    """
    return survey_shift(geometry(images, settings, generator), settings, generator)


def geometry(images: Tensor, settings: Augmentation, generator: Generator) -> Tensor:
    """Flip, rotate, shift and zoom (Khan et al. 2019) by one affine resampling; edge pixels are repeated."""
    n = len(images)
    angle = math.radians(settings.rotation_degrees) * _uniform(n, generator)
    zoom = 1.0 + settings.zoom * _uniform(n, generator)
    if settings.magnify > 1:
        zoom = zoom * settings.magnify ** _unit(n, generator)
    shift = 2.0 * settings.shift * _uniform(2 * n, generator).reshape(n, 2)  # the grid is 2 wide
    flip = torch.ones(2 * n, device=images.device)
    if settings.flip:
        flip = torch.where(_uniform(2 * n, generator) < 0, -1.0, 1.0)
    flip = flip.reshape(n, 2, 1)
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    affine = torch.cat([flip * turn, shift[:, :, None]], dim=2)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def survey_view(images: Tensor, settings: Augmentation, generator: Generator) -> Tensor:
    """Render images as another survey might: other crop and survey shift, but no rotation, flip or translation.

    Validation under survey shift uses it. Parameters and result are those of `augment`.
    """
    upright = {"flip": False, "rotation_degrees": 0.0, "shift": 0.0, "zoom": 0.0}
    return augment(images, settings.model_copy(update=upright), generator)


def survey_shift(images: Tensor, settings: Augmentation, generator: Generator) -> Tensor:
    """Apply survey shift in the order in which light meets it: seeing, bands, stretch, noise.

    Parameters and result are those of `augment`. With every setting at 0 the images do not change.
    """
    n = len(images)
    if settings.blur:
        sigma = settings.blur * images.shape[-1] / 64 * _unit(n, generator)
        images = gaussian_blur(images, sigma)
    if settings.grey:
        grey = images.mean(1, keepdim=True)
        images = torch.lerp(images, grey, _each(settings.grey * _unit(n, generator)))
    if settings.channel_gain:
        gain = torch.exp(settings.channel_gain * _normal(3 * n, generator)).reshape(n, 3, 1, 1)
        images = images * gain
    if settings.gamma:
        exponent = _each(torch.exp(settings.gamma * _normal(n, generator)))
        # exp(g log x) takes half the time of x ** g; the images are fp32 in [0, 1], so the result is the same.
        images = torch.exp(exponent * torch.log(images.clamp(min=1e-6)))
    images = _add_light(images, settings, generator)
    if settings.resolution < 1:
        images = coarsen(images, settings.resolution, generator)
    return images.clamp(0.0, 1.0)


def coarsen(images: Tensor, least: float, generator: Generator) -> Tensor:
    """Resample a batch to fewer pixels and back, like stored stamps of a camera with coarser pixels.

    It comes after the noise, which is the camera's and is smoothed too. The width is drawn once for a batch, from
    `least` to 1 of the full width: images of different widths could not be resampled together.
    """
    size = images.shape[-1]
    share = least + (1.0 - least) * float(_unit(1, generator))
    width = max(8, round(share * size))
    small = F.interpolate(images, (width, width), mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(small, (size, size), mode="bicubic", align_corners=False)


def gaussian_blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image, (n, 3, size, size), by its own Gaussian of `sigma` px (n,).

    Each stamp has one banded matrix, applied to rows and to columns. As a batched matrix product this is several times
    faster on a CPU than a grouped convolution with one kernel for each stamp. Rows of the matrix sum to 1, so that
    edges keep their level.
    """
    n, channels, size, _ = images.shape
    place = torch.arange(size, device=images.device)
    profile = torch.exp(-(place.float() ** 2) / (2.0 * sigma.clamp(min=0.05)[:, None] ** 2))
    kernel = profile[:, (place[:, None] - place[None, :]).abs()]
    kernel = kernel / kernel.sum(2, keepdim=True)
    # Rows, then columns of all channels, as plain batched products: broadcasting would copy the images first.
    rows = torch.bmm(images.reshape(n, channels * size, size), kernel.transpose(1, 2))
    columns = rows.view(n, channels, size, size).transpose(1, 2).reshape(n, size, channels * size)
    return torch.bmm(kernel, columns).view(n, size, channels, size).transpose(1, 2)


def _add_light(images: Tensor, settings: Augmentation, generator: Generator) -> Tensor:
    """Change contrast, sky level and noise."""
    n = len(images)
    if settings.contrast:
        images = images * _each(torch.exp(settings.contrast * _normal(n, generator)))
    if settings.background:
        images = images + _each(settings.background * _uniform(n, generator))
    if settings.noise:
        noise = torch.empty_like(images).normal_(generator=generator)
        images = torch.addcmul(images, noise, _each(settings.noise * _unit(n, generator)))
    return images


def _unit(n: int, generator: Generator) -> Tensor:
    """Draw n numbers uniformly from [0, 1)."""
    return torch.rand(n, generator=generator, device=generator.device)


def _uniform(n: int, generator: Generator) -> Tensor:
    """Draw n numbers uniformly from [-1, 1)."""
    return 2.0 * _unit(n, generator) - 1.0


def _normal(n: int, generator: Generator) -> Tensor:
    return torch.randn(n, generator=generator, device=generator.device)


def _each(values: Tensor) -> Tensor:
    """Shape one value for each image so that it multiplies a batch of images."""
    return values[:, None, None, None]
