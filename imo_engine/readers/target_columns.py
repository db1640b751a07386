"""Columns that say of each target what it is, under the names that surveys and archives give them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import SpectrumFileError
from imo_engine.readers.opened_file import OpenedFile
from imo_engine.readers.plain_files import printable
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.readers.targets import Targets
from imo_engine.spectra.eligibility import zwarn_words

__all__ = [
    "COLUMNS",
    "IDENTIFIERS",
    "LOG_PROB",
    "MINUS_LOG_PROB",
    "catalogue_words",
    "holds_catalogue",
    "is_catalogue",
    "targets_of",
]

IDENTIFIERS = ("target_id", "targetid", "object_id", "specid", "specobjid", "sparcl_id", "id")
LOG_PROB = ("log_prob", "logprob", "log_p", "logp", "lnp")
MINUS_LOG_PROB = ("-logp", "-log_p", "-log_prob", "neglogp", "neg_logp", "neg_log_prob", "minus_logp", "nll")
"""What log p, and its negative, are called in catalogues, in small letters."""

_PLATE = ("plate", "mjd", "fiberid")
_REDSHIFT, _ZWARN, _CLASS, _OBJTYPE = ("z", "redshift"), ("zwarn", "redshift_warning"), ("spectype", "class"), "objtype"
_PLACES = (("ra", "dec"), ("target_ra", "target_dec"), ("plug_ra", "plug_dec"))
_MAX_TEXT = 100
_MAX_HEADER = 1 << 17

COLUMNS = frozenset(
    (
        *IDENTIFIERS,
        *_PLATE,
        *_REDSHIFT,
        *_ZWARN,
        *_CLASS,
        _OBJTYPE,
        "instrument",
        *(n for pair in _PLACES for n in pair),
    )
)
"""Names, in small letters, of the columns that :func:`targets_of` knows."""


def is_catalogue(titles: Iterable[str]) -> bool:
    """Tell by the names of its columns whether a table is a catalogue of log p."""
    known = {title.lower() for title in titles}
    return bool(known & set(IDENTIFIERS)) and bool(known & {*LOG_PROB, *MINUS_LOG_PROB})


def holds_catalogue(file: OpenedFile) -> bool:
    """Tell whether a file, FITS or text, has a table that is a catalogue of log p."""
    if file.fits is not None:
        return any(is_catalogue(file.fits.columns(hdu)) for hdu in range(len(file.fits)))
    file.content.seek(0)
    head = file.content.read(_MAX_HEADER)
    file.content.seek(0)
    lines = (line for line in head.decode("utf-8", "replace").splitlines() if not line.startswith("#"))
    return b"\0" not in head and is_catalogue(re.split(r"[,;\s]+", next(lines, "").strip()))


def catalogue_words(name: str) -> str:
    """Say what a catalogue of log p is good for, in place of spectra."""
    return (
        f"{name}: a catalogue of log p, which holds no spectra; look at it with the spectra that it is of: "
        f"imo serve FILES --catalogue {name}"
    )


def targets_of(
    name: str, columns: Mapping[str, Sequence[Any] | NDArray[Any]], given: GivenRedshifts, instrument: str = ""
) -> Targets:
    """Return what the columns of the file ``name`` say of its n targets.

    Args:
        name: of the file.
        columns: n values each (None, NaN or a blank where there is none), by name in small letters.
        given: redshifts that replace the file's.
        instrument: what observed the targets, unless a column says so.

    Raises:
        SpectrumFileError: no identifiers, identifiers that went through floating point, or no numbers where they should
            be.
    """
    targets = Targets(name, _identifiers(name, columns), instrument)
    n = len(targets.target_id)
    ra, dec = next((pair for pair in _PLACES if set(pair) <= set(columns)), ("", ""))
    targets.ra, targets.dec = _numbers(name, columns, ra, n), _numbers(name, columns, dec, n)
    if "instrument" in columns:
        targets.instrument = [_text(value) or instrument for value in columns["instrument"]]
    kinds = next((columns[key] for key in _CLASS if key in columns), [""] * n)
    targets.spectype = [_text(kind) for kind in kinds]
    if _OBJTYPE in columns:
        targets.objtype = [_text(kind) or "NONE" for kind in columns[_OBJTYPE]]
    warnings = _numbers(name, columns, next((key for key in _ZWARN if key in columns), ""), n)
    targets.zwarn = np.where(np.isfinite(warnings), warnings, -1).clip(-1, 2**62).astype(np.int64)
    known = targets.give_redshifts(given)
    for row, (kind, zwarn) in enumerate(zip(targets.spectype, targets.zwarn.tolist(), strict=True)):
        if known[row] and given.of(targets.target_id[row]) is None:
            continue  # a catalogue was given and says it
        if zwarn > 0:
            targets.remark(f"ZWARN {zwarn} ({zwarn_words(zwarn)})", row)
        if kind not in ("GALAXY", ""):
            targets.remark(f"the survey calls it a {kind}", row)
    _add_redshifts(targets, columns, ~known)
    return targets


def _add_redshifts(targets: Targets, columns: Mapping[str, Any], wanted: NDArray[np.bool_]) -> None:
    key = next((key for key in _REDSHIFT if key in columns), "")
    z = _numbers(targets.source, columns, key, len(targets.target_id))
    for row in np.flatnonzero(wanted).tolist():
        targets.redshift[row] = z[row]
        if not np.isfinite(z[row]):
            what = f"it is {z[row]}" if key else "there is no column z or redshift"
            targets.say(row, f"no redshift: {what} in {targets.source}")


def _identifiers(name: str, columns: Mapping[str, Any]) -> list[str]:
    """Return one identifier a row: plate-mjd-fiber, or of each row the first that is there."""
    if set(_PLATE) <= set(columns) and not set(IDENTIFIERS[:3]) & set(columns):
        return ["-".join(_text(part) for part in parts) for parts in zip(*(columns[k] for k in _PLATE), strict=True)]
    known = [key for key in IDENTIFIERS if key in columns]
    exact = [key for key in known if not any(isinstance(value, (float, np.floating)) for value in columns[key])]
    if known and not exact:
        raise SpectrumFileError(
            f"{name}: {known[0]} is a column of floating point numbers, which have lost digits of the identifiers; "
            "save integers or text"
        )
    if not exact:
        raise SpectrumFileError(f"{name}: no identifiers; expected a column target_id, or plate, mjd and fiberid")
    found = []
    for row, values in enumerate(zip(*(columns[key] for key in exact), strict=True)):
        texts = (_text(value) for value in values)
        found.append(next((text for text in texts if text not in ("", "0")), f"row {row + 1}"))
    return found


def _numbers(name: str, columns: Mapping[str, Any], key: str, n: int) -> NDArray[np.float64]:
    if not key:
        return np.full(n, np.nan)
    try:
        values = np.array([np.nan if value is None else float(value) for value in columns[key]], np.float64)
    except (TypeError, ValueError, OverflowError):
        raise SpectrumFileError(f"{name}: {key} is not a column of numbers") from None
    return values


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, (str, int, np.integer)):
        return ""
    return printable(str(value)).strip()[:_MAX_TEXT]
