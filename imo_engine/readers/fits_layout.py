"""Where the parts of a FITS file lie, checked against the bytes there are before anything else looks at it.

A FITS header says how large its data are; a damaged or hostile one says 2 GB in a file of 20 kB. This walk
reads only the mandatory keywords, in the order the standard prescribes (FITS 4.0, section 4.4.1), so that
the general parser is given nothing but files whose parts add up to their length.
"""

import re
from dataclasses import dataclass
from math import prod
from typing import BinaryIO

import numpy as np

from imo_engine.errors import SpectrumFileError

__all__ = ["BLOCK", "MAX_HDUS", "MAX_HEADER_BLOCKS", "Extent", "datasum", "fits_layout"]

BLOCK = 2880
"""Bytes of a FITS block; headers and data fill whole blocks."""
MAX_HDUS = 1000
"""DESI coadds have 19 HDUs, SDSS spectra with all their exposures up to a few hundred."""
MAX_HEADER_BLOCKS = 4096
"""Header blocks of 36 cards in a whole file; a DESI coadd has about 100."""

_CARD = 80
_PIECE = 8 << 20
_END = b"END".ljust(_CARD)
_BITPIX = (8, 16, 32, 64, -32, -64)


@dataclass(frozen=True)
class Extent:
    """One HDU: a header, and data of ``size`` bytes that start at byte ``start``."""

    header_start: int
    start: int
    size: int
    shape: tuple[int, ...]
    """Axes in NumPy's order, the last one varying fastest; a table is (rows, bytes of a row)."""

    @property
    def span(self) -> int:
        """Bytes the data take up with their padding."""
        return -(-self.size // BLOCK) * BLOCK


def fits_layout(file: BinaryIO, name: str, length: int) -> list[Extent]:
    """Walk through the HDUs of an open FITS file of ``length`` bytes.

    Raises:
        SpectrumFileError: truncated, not FITS, too many headers, or data that do not fit into the file.
    """
    extents: list[Extent] = []
    position = blocks = 0
    while position < length:
        if len(extents) == MAX_HDUS:
            raise SpectrumFileError(f"{name}: more than {MAX_HDUS} HDUs")
        cards: list[bytes] = []
        start = position
        while not cards or cards[-1] != _END:
            blocks += 1
            if blocks > MAX_HEADER_BLOCKS:
                raise SpectrumFileError(f"{name}: more than {MAX_HEADER_BLOCKS} header blocks")
            cards += _header_block(file, name, start, is_first=not cards, hdu=len(extents))
            start += BLOCK
        extent = _extent(cards, f"{name}: HDU {len(extents)}", position, start)
        if start + extent.span > length:
            raise SpectrumFileError(
                f"{name}: HDU {len(extents)} should have {extent.size} bytes of data but the file ends after "
                f"{length - start}: truncated, or its header is damaged"
            )
        extents.append(extent)
        position = start + extent.span
    return extents


def _header_block(file: BinaryIO, name: str, position: int, *, is_first: bool, hdu: int) -> list[bytes]:
    """Return the cards of one header block, up to and with END."""
    file.seek(position)
    block = file.read(BLOCK)
    if is_first and not block.startswith(b"XTENSION= " if hdu else b"SIMPLE  = "):
        raise SpectrumFileError(
            f"{name}: what follows HDU {hdu - 1} at byte {position} is not a FITS extension: damaged or truncated"
            if hdu
            else f"{name}: not a FITS file (it does not begin with 'SIMPLE  =')"
        )
    if len(block) < BLOCK:
        raise SpectrumFileError(f"{name}: the header of HDU {hdu} has no END: truncated or damaged")
    if re.search(rb"[^\t -~]", block):
        raise SpectrumFileError(f"{name}: the header of HDU {hdu} has bytes that are not text: damaged")
    cards = [block[i : i + _CARD] for i in range(0, BLOCK, _CARD)]
    return cards[: cards.index(_END) + 1] if _END in cards else cards


def _extent(cards: list[bytes], where: str, header_start: int, start: int) -> Extent:
    """Read the mandatory keywords of one header."""
    remaining = iter(cards)
    first = next(remaining)
    if first.startswith(b"SIMPLE") and not re.match(rb"SIMPLE  = +T *(/.*)?$", first):
        raise SpectrumFileError(f"{where} says that it does not conform to the FITS standard (SIMPLE is not T)")

    def integer(keyword: str, low: int, high: int = 10**15) -> int:
        card = next(remaining, b"")
        match = re.match(rb"%-8s= *([+-]?\d{1,16}) *(/.*)?$" % keyword.encode(), card)
        if match is None or not low <= int(match[1]) <= high:
            found = card.decode("ascii", "replace").strip()
            raise SpectrumFileError(f"{where} has a damaged header: expected {keyword}, found {found[:40]!r}")
        return int(match[1])

    bitpix = integer("BITPIX", -64, 64)
    if bitpix not in _BITPIX:
        raise SpectrumFileError(f"{where} has BITPIX {bitpix}, not one of {_BITPIX}")
    axes = [integer(f"NAXIS{i + 1}", 0) for i in range(integer("NAXIS", 0, 32))]
    parameters, groups = 0, 1
    if first.startswith(b"XTENSION"):
        parameters, groups = integer("PCOUNT", 0), integer("GCOUNT", 1)
        if re.match(rb"XTENSION= '(BINTABLE|TABLE|A3DTABLE) *'", first):
            integer("TFIELDS", 0, 999)
    size = abs(bitpix) // 8 * groups * (parameters + prod(axes)) if axes else 0
    return Extent(header_start, start, size, tuple(reversed(axes)))


def datasum(file: BinaryIO, extent: Extent) -> int:
    """Sum the data of an HDU as 32-bit words in ones' complement (FITS 4.0, appendix J)."""
    total, position, end = 0, extent.start, extent.start + extent.span
    while position < end:
        file.seek(position)
        words = np.frombuffer(file.read(min(_PIECE, end - position)), ">u4")
        if not len(words):
            raise OSError("it became shorter while it was read")
        total += int(words.sum(dtype=np.uint64))
        position += 4 * len(words)
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total
