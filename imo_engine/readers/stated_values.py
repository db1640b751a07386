"""Numbers that people write into headers and comments: with an error, a remark or a unit after them, or sexagesimal."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import SpectrumFileError
from imo_engine.readers.plain_files import shortened

if TYPE_CHECKING:
    from imo_engine.readers.targets import Targets

__all__ = ["coordinates", "leading_number"]

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf)"
_THEN = r"\s*(?:\+/-|\+-|\u00b1|#|\().*|\s+[A-Za-z].*|[;,]\s+[A-Za-z].*"
_STATED = re.compile(rf"\s*({_NUMBER})(?:{_THEN})?\s*", re.IGNORECASE | re.DOTALL)


def leading_number(meta: Mapping[str, Any], name: str, *keys: str) -> float:
    """Return the number of the first key that has a value: "0.0843 +/- 0.0001" and "0.0843  # SDSS" are 0.0843.

    Args:
        meta: what a file says before its table, by keys in small letters.
        name: name of the file, for messages.
        keys: which of them to look at.

    Raises:
        SpectrumFileError: the value does not begin with a number that stands alone.
    """
    key, found = next(((key, meta[key]) for key in keys if meta.get(key) is not None), ("", np.nan))
    if isinstance(found, (str, int, float)) and not isinstance(found, bool):
        match = _STATED.fullmatch(str(found))
        if match:
            return float(match[1])
    raise SpectrumFileError(
        f"{name}: {key} is {shortened(str(found))}, not a number; expected a line such as '# {key} = 0.1234'"
    )


def coordinates(meta: Mapping[str, Any], targets: "Targets") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return right ascension and declination, (1,) degrees each; NaN, with a remark, where they cannot be read.

    Both may be sexagesimal; right ascension is then in hours, unless it says degrees.
    """
    ra, dec = _angle(meta.get("ra"), "hourangle"), _angle(meta.get("dec"), "deg")
    if (meta.get("ra"), meta.get("dec")) != (None, None) and not (0 <= ra <= 360 and -90 <= dec <= 90):
        targets.remark("ra and dec are not a position on the sky and are left out")
        ra = dec = np.nan
    return np.array([ra]), np.array([dec])


def _angle(value: object, unit: str) -> float:
    """Return an angle in degrees; a number alone is one already."""
    if value is None or isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return np.nan
    try:
        return float(value)
    except ValueError:
        from astropy.coordinates import Angle

        try:
            return float(Angle(str(value)[:50], unit=unit).deg)
        except (ValueError, TypeError):
            return np.nan
