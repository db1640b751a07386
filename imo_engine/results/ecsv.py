"""Attributions as ECSV tables: text that Astropy, TOPCAT and any editor open, one row a pixel."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution.record import Attribution
from imo_engine.errors import ImoError, InputError, SpectrumFileError
from imo_engine.reasons.null_distribution import COMBINED
from imo_engine.reasons.significance import Significance
from imo_engine.spectra.noise import ivar_in_words
from imo_engine.spectra.spectra import Spectra
from imo_engine.system.files import write_atomically

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["AttributionTable", "attribution_table", "read_attribution_table", "software", "write_attribution_table"]

_FORMAT = "IMO Explorer attribution 1"
_PACKAGES = ("imo-explorer", "astropy", "numpy", "torch")
_PIXEL_COLUMNS = ("wavelength", "rest_wavelength", "flux", "ivar", "valid", "combined", "combined_scatter")
_META = ("format", "target_id", "redshift", "window_sizes")
_MAX_BYTES = 64 << 20
_MAX_WINDOWS = 1000


@dataclass(frozen=True, eq=False)
class AttributionTable:
    """What such a file holds; N pixels, W window sizes.

    Attributes:
        wavelength: (N,) vacuum Angstrom, observed frame.
        rest_wavelength: (N,) vacuum Angstrom, rest frame.
        flux: (N,) normalised, NaN where nothing was measured.
        ivar: (N,) inverse variance of ``flux`` as in the file; 0 where nothing was measured, NaN if not known.
        valid: (N,) where the attribution has meaning.
        combined: (N,) nats per pixel, positive = lowers log p; NaN where not ``valid``, like all that follow.
        combined_scatter: (N,) standard deviation of the combination over baselines.
        mean: (W, N) mean over baselines, one row a window size.
        scatter: (W, N) standard deviation over baselines.
        window_sizes: Pixels.
        redshift: Of the spectrum.
        target_id: Of the spectrum.
        meta: Everything else that the file says: model, settings, versions.
        corrected_p: (W, N) p-values for anywhere in the spectrum, one row a window size; None if the file has none.
        combined_corrected_p: (N,) those of the combination, likewise.
    """

    wavelength: NDArray[np.float64]
    rest_wavelength: NDArray[np.float64]
    flux: NDArray[np.float64]
    ivar: NDArray[np.float64]
    valid: NDArray[np.bool_]
    combined: NDArray[np.float64]
    combined_scatter: NDArray[np.float64]
    mean: NDArray[np.float64]
    scatter: NDArray[np.float64]
    window_sizes: tuple[int, ...]
    redshift: float
    target_id: str
    meta: dict[str, Any]
    corrected_p: NDArray[np.float64] | None = None
    combined_corrected_p: NDArray[np.float64] | None = None


def attribution_table(
    attribution: Attribution,
    spectrum: Spectra,
    *,
    settings: Mapping[str, Any] | None = None,
    significance: Significance | None = None,
) -> "Table":
    """Return an attribution of N pixels as a table of N rows; :func:`read_attribution_table` says what is in it.

    Args:
        attribution: Of one spectrum.
        spectrum: That one spectrum.
        settings: More of how it was computed, such as the seed; plain values.
        significance: Its p-values.

    Raises:
        InputError: not one spectrum, or another one.
    """
    from astropy.table import Column, Table

    wave = attribution.wavelength
    if len(spectrum) != 1:
        raise InputError(f"'spectrum' has {len(spectrum)} spectra, expected one")
    if spectrum.wavelength.shape != wave.shape or float(spectrum.redshift[0]) != attribution.redshift:
        raise InputError("'spectrum' is not the one that 'attribution' is of: wavelengths or redshift differ")
    measured = spectrum.measured[0]
    ivar, noise = ivar_in_words(spectrum)
    nats = {"unit": "1 / pix", "dtype": np.float32}
    angstrom = {"unit": "Angstrom", "dtype": np.float64}
    table = Table(
        [
            Column(wave, "wavelength", description="vacuum, observed frame", **angstrom),
            Column(wave / (1 + attribution.redshift), "rest_wavelength", description="vacuum, rest frame", **angstrom),
            Column(
                np.where(measured, spectrum.flux[0], np.nan),
                "flux",
                dtype=np.float32,
                description="over its median at rest 5300-5850 Angstrom; nan: not measured",
            ),
            Column(ivar, "ivar", dtype=np.float32, description=noise),
            Column(attribution.valid, "valid", dtype=bool, description="where the attribution has meaning"),
            Column(
                attribution.combined,
                "combined",
                description="nats per pixel, mean over window sizes and baselines; positive: lowers log p",
                **nats,
            ),
            Column(
                attribution.combined_scatter,
                "combined_scatter",
                description="nats per pixel, standard deviation of combined over baselines",
                **nats,
            ),
        ]
    )
    for row, size in enumerate(attribution.window_sizes):
        words = f"nats per pixel over baselines, window size {size} pixels"
        table[f"mean_w{size}"] = Column(attribution.mean[row], description=f"mean of {words}", **nats)
        scatter = np.sqrt(attribution.variance[row])
        table[f"scatter_w{size}"] = Column(scatter, description=f"standard deviation of {words}", **nats)
    if significance is not None:
        rows = [(COMBINED, significance.combined_corrected_p)]
        rows += [(f"w{size}", p) for size, p in zip(attribution.window_sizes, significance.corrected_p, strict=True)]
        for name, p in rows:
            words = f"how often an ordinary spectrum has such a value anywhere ({significance.ordinary} spectra)"
            table[f"p_{name}"] = Column(p, description=words, dtype=np.float32)
    table.meta = _meta(attribution, spectrum, settings or {})
    return table


def write_attribution_table(
    path: str | Path,
    attribution: Attribution,
    spectrum: Spectra,
    *,
    settings: Mapping[str, Any] | None = None,
    significance: Significance | None = None,
) -> None:
    """Write :func:`attribution_table` as ECSV.

    Raises:
        InputError: as there.
        ImoError: the disk refuses.
    """
    table = attribution_table(attribution, spectrum, settings=settings, significance=significance)
    try:
        write_atomically(path, lambda name: table.write(name, format="ascii.ecsv", overwrite=True))
    except OSError as error:
        raise ImoError(f"{path}: cannot be written: {error}") from None


def read_attribution_table(path: str | Path) -> AttributionTable:
    """Read what :func:`write_attribution_table` wrote.

    Raises:
        SpectrumFileError: no such file, or something else.
    """
    from astropy.table import Table

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise SpectrumFileError(f"{path}: more than {_MAX_BYTES >> 20} MB, which no attribution has")
        if not text.startswith("# %ECSV "):
            raise SpectrumFileError(f"{path}: not an ECSV file; expected what 'imo explain -o FILE.ecsv' writes")
        table = Table.read(text.splitlines(), format="ascii.ecsv")
    except OSError as error:
        raise SpectrumFileError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ImoError:
        raise
    except Exception as error:  # astropy's readers and YAML raise whatever the damage leads to
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SpectrumFileError(f"{path}: damaged ECSV file: {first[:200]}") from None
    return _checked(table, str(path))


def software() -> dict[str, str]:
    """Return the versions of what computes attributions, by name."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _meta(attribution: Attribution, spectrum: Spectra, settings: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: _plain(value) for key, value in attribution.provenance.items()}
    meta: dict[str, Any] = {
        "format": _FORMAT,
        "title": "Inverse multiscale occlusion",
        "reference": "Shen & Melchior 2023, arXiv:2310.20012",
        "sign": "positive: lowers log p",
        "target_id": str(spectrum.target_id[0]),
        "redshift": attribution.redshift,
        "source": str(spectrum.source[0]),
        "instrument": str(spectrum.instrument[0]),
        "norm": _plain(spectrum.norm[0]),
        "model": plain.pop("model", ""),
        "model_fingerprint": plain.pop("model_fingerprint", ""),
        "window_sizes": list(map(int, attribution.window_sizes)),
        "offsets": list(map(int, attribution.offsets)),
        "strides": list(map(int, attribution.strides)),
        "weighting": attribution.weighting,
        "measured_error": [float(one.measured_error) for one in attribution.facts],
        "exact_share": [float(one.exact_share) for one in attribution.facts],
        "local_share": [one.local_share for one in attribution.facts],
        "local_share_error": [one.local_share_error for one in attribution.facts],
        "n_baselines": len(attribution.baselines),
    }
    for name, values in (("ra", spectrum.ra), ("dec", spectrum.dec)):
        if np.isfinite(values[0]):
            meta[name] = float(values[0])
    meta |= {key: _plain(value) for key, value in settings.items()}
    meta |= {key: value for key, value in plain.items() if key not in meta}
    return meta | {"software": software(), "written": datetime.now(UTC).isoformat(timespec="seconds")}


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever provenance holds
    """Return a value that YAML has words for."""
    if isinstance(value, np.generic):
        value = value.item()
    return value if type(value) in (str, int, float, bool) else str(value)


def _checked(table: "Table", name: str) -> AttributionTable:
    meta = dict(table.meta)
    missing = [key for key in _META if key not in meta]
    if missing or meta["format"] != _FORMAT:
        what = f"its header lacks {', '.join(missing)}" if missing else f"its format is {str(meta['format'])[:60]!r}"
        raise SpectrumFileError(f"{name}: not an attribution ({what}); expected what 'imo explain -o FILE.ecsv' writes")
    sizes = meta.pop("window_sizes")
    if not isinstance(sizes, list) or not 0 < len(sizes) <= _MAX_WINDOWS or any(type(one) is not int for one in sizes):
        raise SpectrumFileError(f"{name}: 'window_sizes' in its header is no list of whole numbers")
    wanted = [*_PIXEL_COLUMNS, *(f"{kind}_w{size}" for size in sizes for kind in ("mean", "scatter"))]
    lacking = [column for column in wanted if column not in table.colnames]
    if lacking:
        raise SpectrumFileError(f"{name}: column {', '.join(lacking)} is missing")
    if not len(table):
        raise SpectrumFileError(f"{name}: has no rows")
    p_columns = [f"p_{name}" for name in (COMBINED, *(f"w{size}" for size in sizes))]
    has_p = all(column in table.colnames for column in p_columns)
    columns = {}
    for column in [*wanted, *(p_columns if has_p else [])]:
        values = np.ma.asarray(table[column])
        if values.dtype.kind != ("b" if column == "valid" else "f") or np.ma.getmaskarray(values).any():
            expected = "True or False" if column == "valid" else "a number"
            raise SpectrumFileError(f"{name}: column {column}: expected {expected} in every row")
        columns[column] = np.asarray(values, bool if column == "valid" else np.float64)
    try:
        redshift = float(meta.pop("redshift"))
    except (TypeError, ValueError):
        raise SpectrumFileError(f"{name}: 'redshift' in its header is no number") from None
    return AttributionTable(
        **{column: columns[column] for column in _PIXEL_COLUMNS},
        mean=np.stack([columns[f"mean_w{size}"] for size in sizes]),
        scatter=np.stack([columns[f"scatter_w{size}"] for size in sizes]),
        window_sizes=tuple(sizes),
        redshift=redshift,
        target_id=str(meta.pop("target_id")),
        meta=meta,
        corrected_p=np.stack([columns[name] for name in p_columns[1:]]) if has_p else None,
        combined_corrected_p=columns[p_columns[0]] if has_p else None,
    )
