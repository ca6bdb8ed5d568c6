"""Services that cut an image out of a survey by position: which URL asks for it, and what comes back.

A service is a URL template, known by a name or given by the user. The scale in arcsec per pixel belongs to the service
and is the same for every object, while the number of pixels follows the object's size: one fetch is then one rendering,
as the comparison of renderings and the pixel scale in the catalogue need it. Widths fitted to each galaxy at a fixed
number of pixels would fill the frame better, but make a rendering of every object.

The limits of the archives named here, as far as they are known:

* SkyServer (SDSS) draws 64 to 2048 pixels a side, so that we never ask for fewer. Its database asks for no more than
  one query a second; of its images it names no rate.
* The viewer of the Legacy Surveys once drew no more than 512 pixels a side, and we keep to that. It names no rate, but
  it serves people who look at the sky: for more than some thousand objects take the coadded tiles instead.
"""

import hashlib
import string
from dataclasses import dataclass
from urllib.parse import urlsplit

from catbuilder.core.errors import InputError

_FIELDS = ("ra", "dec", "size", "pixels", "scale")


@dataclass(frozen=True)
class Service:
    """A cut-out service.

    Attributes
    ----------
    name : what it is called in file names and renderings
    template : URL with {ra} {dec} (ICRS degrees), {size} (width, arcsec), {pixels} (width) and {scale} (arcsec a pixel)
    arcsec_per_pixel : of the images it gives; None where nobody knows
    pixels : least and greatest width that may be asked for
    """

    name: str
    template: str
    arcsec_per_pixel: float | None
    pixels: tuple[int, int] = (16, 4096)

    def url(self, ra: float, dec: float, size_arcsec: float) -> str:
        """URL of the image centred on (ra, dec), ICRS degrees, as near to `size_arcsec` wide as the service allows."""
        scale, width, size = self.arcsec_per_pixel, self._width(size_arcsec), size_arcsec
        if scale is not None:
            size = width * scale
        return self.template.format(
            ra=f"{ra:.7f}",
            dec=f"{dec:.7f}",
            size=f"{size:g}",
            pixels=width,
            scale="" if scale is None else f"{scale:g}",
        )

    def width_px(self, size_arcsec: float) -> int | None:
        """Width of the image that the URL asks for, pixels; None where it leaves that to the service."""
        return self._width(size_arcsec) if "pixels" in _fields(self.template) else None

    def _width(self, size_arcsec: float) -> int:
        if self.arcsec_per_pixel is None:
            return 0
        return min(max(round(size_arcsec / self.arcsec_per_pixel), self.pixels[0]), self.pixels[1])

    @property
    def rendering(self) -> str:
        """Name under which its images stand in the catalogue."""
        scale = "" if self.arcsec_per_pixel is None else f" {self.arcsec_per_pixel:g} arcsec/px"
        return f"fetch/{self.name}{scale}"

    @property
    def folder(self) -> str:
        """Name of the folder for its images: those of another scale are another rendering and lie elsewhere."""
        return self.name if self.arcsec_per_pixel is None else f"{self.name}-{self.arcsec_per_pixel:g}"


_SKYSERVER = (
    "https://skyserver.sdss.org/dr18/SkyServerWS/ImgCutout/getjpeg"
    "?ra={ra}&dec={dec}&scale={scale}&width={pixels}&height={pixels}"
)
_LEGACY = "https://www.legacysurvey.org/viewer/jpeg-cutout?ra={ra}&dec={dec}&layer=LAYER&pixscale={scale}&size={pixels}"

# SDSS at half its native pixel of 0.396 arcsec, since 64 native pixels are wider than most galaxies need; DECam at its
# own 0.262.
SERVICES = {
    service.name: service
    for service in (
        Service("sdss", _SKYSERVER, 0.2, (64, 2048)),
        Service("des", _LEGACY.replace("LAYER", "des-dr1"), 0.262, (16, 512)),
        Service("decals", _LEGACY.replace("LAYER", "ls-dr10"), 0.262, (16, 512)),
    )
}


def find_service(name_or_template: str, arcsec_per_pixel: float | None = None) -> Service:
    """A known service by name, or one by its URL template.

    Parameters
    ----------
    arcsec_per_pixel : by default the known service's own; a template with {pixels} or {scale} needs one

    Raises
    ------
    InputError
        No such service, or the template is not an http or https URL with {ra} and {dec} and no other field than ours.
    """
    known = SERVICES.get(name_or_template)
    if known is not None:
        return Service(known.name, known.template, arcsec_per_pixel or known.arcsec_per_pixel, known.pixels)
    if ":" not in name_or_template:
        raise InputError(
            f"there is no service '{name_or_template}'; known are {', '.join(SERVICES)}, or give a URL with "
            "{ra}, {dec} and {size}"
        )
    fields = _check_template(name_or_template)
    if arcsec_per_pixel is None and fields & {"pixels", "scale"}:
        raise InputError("the URL asks for {pixels} or {scale}; say how many arcsec a pixel is, such as: --scale 0.262")
    # Two templates of one host may differ by a layer alone, and are two renderings.
    name = (
        f"{urlsplit(name_or_template).hostname}-{hashlib.blake2b(name_or_template.encode(), digest_size=4).hexdigest()}"
    )
    return Service(name, name_or_template, arcsec_per_pixel)


def _fields(template: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(template) if field is not None}


def _check_template(template: str) -> set[str]:
    """The fields of a template, all of them ours."""
    try:
        parts, pieces = urlsplit(template), list(string.Formatter().parse(template))
    except ValueError as error:
        raise InputError(
            f"'{template}' is not a URL template ({error}); give one with {{ra}}, {{dec}}, {{size}}"
        ) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"'{template}' is not an http or https URL; images are fetched from web services alone")
    if "{" in parts.netloc:
        raise InputError(f"'{template}' has a field in the name of its server; name one server")
    fields = _fields(template)
    formatted = [str(field) for _, field, spec, conversion in pieces if spec or conversion]
    strange = sorted(fields - set(_FIELDS)) or formatted
    if strange:
        raise InputError(
            f"the URL has the field '{strange[0]}'; plain {{{'}, {'.join(_FIELDS)}}} are filled in, no other"
        )
    if not {"ra", "dec"} <= fields:
        raise InputError(f"'{template}' has no {{ra}} and {{dec}}; every object would get the same image")
    return fields
