"""Cut-out services: URLs that return an image of a sky position.

A service is a URL template, known by a name or given by the user. Its scale in arcsec per pixel is the same for every
object, and the number of pixels follows the object's size. So all images of a fetch are one rendering, as the
comparison of renderings and the pixel scale in the catalogue need. A fixed number of pixels would fill the frame
better, but give every object a rendering of its own.

Limits of the services named here, as far as they are known:

* SkyServer (SDSS) draws 64 to 2048 pixels a side, so we never request fewer. Its database allows one query per second;
  for its images it states no rate.
* The viewer of the Legacy Surveys once drew at most 512 pixels a side, and we keep to that. It states no rate, but it
  serves people who look at the sky: for more than some thousand objects use the coadded tiles instead.
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
    name : used in file names and renderings
    template : URL with {ra} {dec} (ICRS degrees), {size} (width, arcsec), {pixels} (width) and {scale} (arcsec a pixel)
    arcsec_per_pixel : pixel scale of its images; None if unknown
    pixels : smallest and largest width that it draws
    """

    name: str
    template: str
    arcsec_per_pixel: float | None
    pixels: tuple[int, int] = (16, 4096)

    def url(self, ra: float, dec: float, size_arcsec: float) -> str:
        """Build the URL of an image centred on (ra, dec), ICRS deg, with the allowed width nearest `size_arcsec`."""
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
        """Width of the image in pixels, as the URL requests it; None if the URL does not state it."""
        return self._width(size_arcsec) if "pixels" in _fields(self.template) else None

    def _width(self, size_arcsec: float) -> int:
        if self.arcsec_per_pixel is None:
            return 0
        return min(max(round(size_arcsec / self.arcsec_per_pixel), self.pixels[0]), self.pixels[1])

    @property
    def rendering(self) -> str:
        """Name of its rendering in the catalogue."""
        scale = "" if self.arcsec_per_pixel is None else f" {self.arcsec_per_pixel:g} arcsec/px"
        return f"fetch/{self.name}{scale}"

    @property
    def folder(self) -> str:
        """Name of the folder for its images; each scale has a folder of its own, since it is another rendering."""
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
    """Find a known service by name, or make one from a URL template.

    Parameters
    ----------
    arcsec_per_pixel : by default the known service's own; a template with {pixels} or {scale} needs one

    Raises
    ------
    InputError
        There is no such service, or the template is not an http or https URL with {ra}, {dec} and known fields only.
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
        raise InputError(
            "the URL has the field {pixels} or {scale}; give the pixel scale in arcsec, such as: --scale 0.262"
        )
    # Two templates of one host may differ only in a layer, and are then two renderings.
    name = (
        f"{urlsplit(name_or_template).hostname}-{hashlib.blake2b(name_or_template.encode(), digest_size=4).hexdigest()}"
    )
    return Service(name, name_or_template, arcsec_per_pixel)


def _fields(template: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(template) if field is not None}


def _check_template(template: str) -> set[str]:
    """Return the fields of a template, or refuse the template."""
    try:
        parts, pieces = urlsplit(template), list(string.Formatter().parse(template))
    except ValueError as error:
        raise InputError(
            f"'{template}' is not a URL template ({error}); give one with {{ra}}, {{dec}}, {{size}}"
        ) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"'{template}' is not an http or https URL; give the URL of a web service")
    if "{" in parts.netloc:
        raise InputError(f"'{template}' has a field in the name of its server; give one server")
    fields = _fields(template)
    formatted = [str(field) for _, field, spec, conversion in pieces if spec or conversion]
    strange = sorted(fields - set(_FIELDS)) or formatted
    if strange:
        raise InputError(
            f"the URL has the field '{strange[0]}'; plain {{{'}, {'.join(_FIELDS)}}} are filled in, no others"
        )
    if not {"ra", "dec"} <= fields:
        raise InputError(f"'{template}' has no {{ra}} and {{dec}}; every object would get the same image")
    return fields
