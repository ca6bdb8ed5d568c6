"""Draw simulated galaxies as SDSS and DES see them, with GalSim: pixels, seeing, noise and colour rendering.

A galaxy is a sum of parts. Sersic bulge, exponential disc and bar are analytic profiles; the arms are one small image
of a logarithmic spiral, made face-on and tilted by GalSim (80 x 80 pixels, finer than either survey's seeing); a dust
lane is a thin profile of negative flux. Each band weighs the same parts by its own fluxes, so a galaxy is built once
and convolved six times, for two surveys and three bands.

Fluxes are in nanomaggies (magnitude 22.5 is one). Pixels and the typical seeing and depth are those of SDSS DR7 and DES
DR1; seeing and depth vary with the place (`exposures`). The renderings imitate the public colour stamps: SDSS dark with
strong colours, DES grey with little colour left, since each of its bands is scaled by its own brightness.
"""

import io
import math
from dataclasses import dataclass
from pathlib import Path

import galsim
import numpy as np
from PIL import Image

from catbuilder.core.tasks import Place
from catbuilder.simulation.galaxy import Companion, Galaxy, Light, SurveyName, random_stream

# Folding and band limits of 2 % and 1 % instead of GalSim's 0.5 % and 0.1 %: below the noise here, and three times
# faster for a de Vaucouleurs profile.
_PARAMETERS = galsim.GSParams(folding_threshold=2e-2, maxk_threshold=1e-2)
# A saturating star is a million times brighter than the noise, so ringing around it would show.
_EXACT = galsim.GSParams(folding_threshold=1e-3, maxk_threshold=1e-6)
_ARM_PIXELS = 80
_ARM_EXTENT = 4.5  # disc scale lengths from the centre to the edge of the image of the arms
_HALF_LIGHT = 1.678  # of an exponential disc, in scale lengths


@dataclass(frozen=True)
class Telescope:
    """Camera of one survey. Tuples are in the order of the image's colours: i (red), r (green), g (blue)."""

    name: SurveyName
    arcsec_per_pixel: float
    seeing_arcsec: tuple[float, float, float]  # FWHM
    sky_noise: tuple[float, float, float]  # standard deviation in a pixel, nanomaggies
    electrons: float  # per nanomaggy
    saturation: float  # of a pixel, nanomaggies


SDSS = Telescope("sdss", 0.396, (1.25, 1.32, 1.43), (0.038, 0.026, 0.020), 900.0, 150.0)
DES = Telescope("des", 0.263, (0.88, 0.96, 1.12), (0.0075, 0.0040, 0.0034), 16000.0, 60.0)


def arcsec_per_pixel(survey: SurveyName) -> float:
    """Return the pixel scale of a survey's simulated stamps."""
    return {telescope.name: telescope.arcsec_per_pixel for telescope in (SDSS, DES)}[survey]


def stamp_pixels(telescope: Telescope, sdss_pixels: int) -> int:
    """Compute the width in pixels of a stamp that covers the same angle as `sdss_pixels` of SDSS."""
    return round(sdss_pixels * SDSS.arcsec_per_pixel / telescope.arcsec_per_pixel)


def write_stamps(batch: list[tuple[Galaxy, dict[str, Path]]], place: Place, sdss_pixels: int, seed: int) -> int:
    """Draw each object as each survey in its `files` sees it, write the PNG files, and return the number of objects."""
    for galaxy, files in batch:
        scene = Scene(galaxy)
        for telescope in (SDSS, DES):
            if telescope.name in files:
                stamp = scene.colour_stamp(telescope, stamp_pixels(telescope, sdss_pixels), seed)
                png = io.BytesIO()
                Image.fromarray(stamp).save(png, "PNG")
                # not durable: an interrupted simulation draws all of them again
                place.write(files[telescope.name], png.getvalue(), durable=False)
    return len(batch)


class Scene:
    """An object and its companions above the atmosphere: profiles of unit flux, and their fluxes by band.

    Bands are in the order i, r, g.
    """

    def __init__(self, galaxy: Galaxy) -> None:
        self.galaxy = galaxy
        self.profiles = [_part(galaxy, light) for light in galaxy.lights]
        self.fluxes = [_band_fluxes(galaxy.mag_r, light, light.fraction) for light in galaxy.lights]
        for companion in galaxy.companions:
            self.profiles.append(_neighbour(companion))
            self.fluxes.append(_band_fluxes(companion.mag_r, companion))

    def colour_stamp(self, telescope: Telescope, pixels: int, seed: int) -> np.ndarray:
        """Draw the survey's colour stamp, (pixels, pixels, 3) uint8."""
        if self.galaxy.fault == "blank":
            return np.zeros((pixels, pixels, 3), np.uint8)
        bands = self.noisy_bands(telescope, pixels, seed)
        return _sdss_colours(bands) if telescope.name == "sdss" else _des_colours(bands)

    def noisy_bands(self, telescope: Telescope, pixels: int, seed: int) -> np.ndarray:
        """Draw the survey's calibrated bands with noise, (pixels, pixels, 3) float32, nanomaggies."""
        rng = random_stream(seed, self.galaxy.number, telescope.name)
        parameters = _EXACT if self.galaxy.fault == "saturated" else _PARAMETERS
        exposure = self.galaxy.exposure(telescope.name)
        bands = np.empty((pixels, pixels, 3), np.float32)
        for band in range(3):
            image = self.band(telescope, band, pixels, exposure.seeing, parameters)
            bands[..., band] = _exposed(image, telescope, exposure.noise * telescope.sky_noise[band], rng)
        return bands

    def band(
        self, telescope: Telescope, band: int, pixels: int, seeing: float = 1.0,
        parameters: galsim.GSParams = _PARAMETERS, offset: tuple[float, float] = (0.0, 0.0),
    ) -> np.ndarray:  # fmt: skip
        """Draw one band without noise, (pixels, pixels) float32, nanomaggies.

        Parameters
        ----------
        seeing : factor on the survey's seeing
        offset : of the object from the middle of the frame, pixels in x and y
        """
        psf = galsim.Moffat(beta=3.5, fwhm=seeing * telescope.seeing_arcsec[band])
        light = galsim.Sum([p * f[band] for p, f in zip(self.profiles, self.fluxes, strict=True)])
        seen = galsim.Convolve(light, psf, gsparams=parameters)
        scale = telescope.arcsec_per_pixel
        return np.asarray(seen.drawImage(nx=pixels, ny=pixels, scale=scale, dtype=np.float32, offset=offset).array)


def _band_fluxes(mag_r: float, colours: Light | Companion, fraction: float = 1.0) -> tuple[float, float, float]:
    flux = fraction * 10 ** (-0.4 * (mag_r - 22.5))
    return flux * 10 ** (0.4 * colours.r_i), flux, flux * 10 ** (-0.4 * colours.g_r)


def _part(galaxy: Galaxy, light: Light) -> galsim.GSObject:
    """Build one part of a galaxy with unit flux, projected on the sky."""
    if galaxy.radius_arcsec == 0:
        return galsim.DeltaFunction(gsparams=_PARAMETERS)
    if light.part == "bulge":
        bulge = galsim.Sersic(galaxy.sersic, half_light_radius=galaxy.bulge_radius_arcsec, gsparams=_PARAMETERS)
        # The bulge of a disc is rounder than the disc.
        ratio = galaxy.axis_ratio if galaxy.kind == "elliptical" else 0.5 + 0.5 * galaxy.axis_ratio
        return _projected(bulge, ratio, galaxy.position_angle_deg)
    scale = galaxy.radius_arcsec / _HALF_LIGHT
    if light.part == "lane":
        return _lane(galaxy, scale)
    if light.part == "disc":
        part = galsim.Exponential(scale_radius=scale, gsparams=_PARAMETERS)
    elif light.part == "bar":
        part = _projected(galsim.Gaussian(sigma=0.45 * scale, gsparams=_PARAMETERS), 0.25, galaxy.arm_angle_deg)
    else:
        part = _arms(galaxy, scale)
    # A tilted disc keeps its long axis, but shear keeps the area: so dilate first.
    return _projected(part.dilate(math.sqrt(galaxy.axis_ratio)), galaxy.axis_ratio, galaxy.position_angle_deg)


def _lane(galaxy: Galaxy, scale: float) -> galsim.GSObject:
    """Build the dust of a disc seen edge-on: a thin line, on the near side of the centre."""
    axis_ratio = 0.4 * galaxy.axis_ratio
    line = galsim.Gaussian(sigma=scale, gsparams=_PARAMETERS).dilate(math.sqrt(axis_ratio))
    # The ring of dust at one scale length, tilted, crosses the bulge off its centre.
    offset = 0.6 * scale * math.cos(math.radians(galaxy.inclination_deg)) * (-1 if galaxy.texture % 2 else 1)
    angle = math.radians(galaxy.position_angle_deg)
    line = _projected(line, axis_ratio, galaxy.position_angle_deg)
    return line.shift(-offset * math.sin(angle), offset * math.cos(angle))


def _projected(profile: galsim.GSObject, axis_ratio: float, angle_deg: float) -> galsim.GSObject:
    return profile.shear(q=axis_ratio, beta=angle_deg * galsim.degrees)


def _neighbour(companion: Companion) -> galsim.GSObject:
    if companion.radius_arcsec == 0:
        profile = galsim.DeltaFunction(gsparams=_PARAMETERS)
    else:
        disc = galsim.Exponential(half_light_radius=companion.radius_arcsec, gsparams=_PARAMETERS)
        profile = _projected(disc, companion.axis_ratio, companion.angle_deg)
    return profile.shift(companion.dx, companion.dy)


def _arms(galaxy: Galaxy, scale: float) -> galsim.GSObject:
    """Build logarithmic arms with knots, face-on, of unit flux; `scale` is the disc's scale length in arcsec."""
    axis = np.linspace(-_ARM_EXTENT, _ARM_EXTENT, _ARM_PIXELS, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    radius = np.hypot(x, y) + 1e-3
    # The crest follows theta = ln(r) / tan(pitch), starting at the end of the bar.
    winding = np.log(radius / 0.8) / math.tan(math.radians(galaxy.pitch_deg))
    phase = galaxy.arms * (np.arctan2(y, x) - math.radians(galaxy.arm_angle_deg) - winding)
    crest = np.exp(4.0 * (np.cos(phase) - 1))
    ends = 1 / (1 + np.exp(-(radius - 0.7) / 0.12)) / (1 + np.exp((radius - 3.6) / 0.3))
    image = crest * np.exp(-radius / 1.3) * ends * _knots(galaxy.texture)
    return galsim.InterpolatedImage(
        galsim.Image(image, scale=scale * 2 * _ARM_EXTENT / (_ARM_PIXELS - 1)),
        x_interpolant="cubic",
        flux=1.0,
        calculate_stepk=False,
        calculate_maxk=False,
        gsparams=_PARAMETERS,
    )


def _knots(texture: int) -> np.ndarray:
    """Draw star-forming knots: log-normal noise on two scales, a factor on the arms' light."""
    rng = np.random.Generator(np.random.Philox(texture))
    coarse = rng.standard_normal((_ARM_PIXELS // 8, _ARM_PIXELS // 8), dtype=np.float32)
    fine = rng.standard_normal((_ARM_PIXELS // 4, _ARM_PIXELS // 4), dtype=np.float32)
    field = 0.5 * np.kron(coarse, np.ones((8, 8), np.float32)) + 0.6 * np.kron(fine, np.ones((4, 4), np.float32))
    return np.exp(field)


def _exposed(image: np.ndarray, telescope: Telescope, sky_noise: float, rng: np.random.Generator) -> np.ndarray:
    """Add the noise of the sky and of the light itself; saturated pixels spill along their column."""
    variance = sky_noise**2 + np.maximum(image, 0) / telescope.electrons
    noisy = image + np.sqrt(variance) * rng.standard_normal(image.shape, dtype=np.float32)
    full = noisy > telescope.saturation
    if full.any():
        columns = full.sum(axis=0) >= 2
        noisy[:, columns] = telescope.saturation
    return np.minimum(noisy, telescope.saturation)


def _asinh(bands: np.ndarray, softening: float) -> np.ndarray:
    """Lupton et al. (2004): stretch the mean of the bands and keep their ratios."""
    mean = np.maximum(bands.mean(axis=2, keepdims=True), 1e-6)
    return bands * (np.arcsinh(softening * mean) / (math.asinh(softening) * mean))


def _sdss_colours(bands: np.ndarray) -> np.ndarray:
    # Gains as in the archive's own finding charts; an overexposed pixel keeps its hue.
    colours = _asinh(bands * np.array([0.82, 1.0, 1.7], np.float32) / 3.0, 8.0)
    colours = _vivid(colours, 1.8)
    colours = colours / np.maximum(colours.max(axis=2, keepdims=True), 1.0)
    return _bytes(4 + 200 * colours)


def _des_colours(bands: np.ndarray) -> np.ndarray:
    # Each band is scaled by its own bright level, so most of the colour is lost and a cold white is left.
    bright = np.maximum(np.percentile(bands, 99.7, axis=(0, 1)), 0.05).astype(np.float32)
    colours = _asinh(bands / bright * np.array([0.92, 0.97, 1.11], np.float32), 6.0)
    return _bytes(27 + 215 * colours)


def _vivid(colours: np.ndarray, saturation: float) -> np.ndarray:
    """Push the colours away from grey."""
    grey = colours.mean(axis=2, keepdims=True)
    return np.maximum(grey + saturation * (colours - grey), 0)


def _bytes(values: np.ndarray) -> np.ndarray:
    return (np.clip(values, 0, 255) + 0.5).astype(np.uint8)
