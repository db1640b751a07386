"""Images that are packed tile by tile into a table (``.fits.fz``, the masks of DESI's ``spectra-*.fits``).

How large an image becomes is in its header and is checked before a byte is unpacked: a few kB of zeros could
stand for more than there is memory (FITS 4.0, section 10.1).
"""

from math import prod
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from imo_engine.errors import SpectrumFileError

__all__ = ["MAX_IMAGE", "is_packed", "packed_shape", "unpack"]

MAX_IMAGE = 1 << 30
"""Bytes that one image may unpack to; the largest arm of 40,000 DESI spectra."""

_METHODS = ("RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2", "NOCOMPRESS")
_BITPIX = (8, 16, 32, 64, -32, -64)


def is_packed(hdu: Any) -> bool:  # noqa: ANN401 - astropy has no types
    """Tell whether a table of a FITS file is an image in disguise."""
    return isinstance(hdu, fits.BinTableHDU) and hdu.header.get("ZIMAGE") is True


def packed_shape(hdu: Any, label: str) -> tuple[int, ...]:  # noqa: ANN401
    """Return the shape that a packed image has when it is unpacked, in NumPy's order.

    Raises:
        SpectrumFileError: it would be too large, its header is damaged, or it is packed in a way that is not read;
            one line that begins with ``label``.
    """
    header = hdu.header
    axes = header.get("ZNAXIS")
    if not isinstance(axes, int) or not 1 <= axes <= 8 or header.get("ZBITPIX") not in _BITPIX:
        raise SpectrumFileError(f"{label} has a damaged header: no ZNAXIS and ZBITPIX of a packed image")
    sizes = [header.get(f"ZNAXIS{axis + 1}") for axis in range(axes)]
    tiles = [header.get(f"ZTILE{axis + 1}", 1) for axis in range(axes)]
    if not all(isinstance(size, int) and size > 0 for size in (*sizes, *tiles)):
        raise SpectrumFileError(f"{label} has a damaged header: ZNAXIS1, ... are not numbers of pixels")
    size = prod(sizes) * abs(header["ZBITPIX"]) // 8
    if size > MAX_IMAGE:
        raise SpectrumFileError(f"{label} unpacks to {size >> 20} MiB; at most {MAX_IMAGE >> 20} MiB are read")
    if header.get("ZCMPTYPE", "RICE_1") not in _METHODS:
        expected = ", ".join(_METHODS)
        raise SpectrumFileError(f"{label} is packed as {header['ZCMPTYPE']!r}; expected {expected}: funpack it first")
    return tuple(reversed(sizes))


def unpack(hdu: Any, label: str) -> NDArray[Any]:  # noqa: ANN401
    """Return a packed image.

    Raises:
        SpectrumFileError: as :func:`packed_shape`, or fewer tiles than the image has.
    """
    shape = packed_shape(hdu, label)
    image = fits.CompImageHDU(bintable=hdu)
    tiles = prod(-(-size // min(size, tile)) for size, tile in zip(shape, image.tile_shape, strict=True))
    if hdu.header["NAXIS2"] != tiles:
        raise SpectrumFileError(f"{label} has {hdu.header['NAXIS2']} tiles; expected {tiles}")
    return np.asarray(image.data)
