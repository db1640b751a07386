"""Finished attributions on disk, so that neither a restart nor a second user computes them again."""

import hashlib
import json
import logging
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import platformdirs
from numpy.typing import NDArray

from app.computing.events import Settings
from imo_engine.attribution.record import WEIGHTINGS, Attribution, WindowFacts
from imo_engine.system.files import write_atomically

__all__ = ["ALGORITHM", "AttributionStore", "ResultCache", "result_key"]

log = logging.getLogger(__name__)

ALGORITHM = 1
"""To be raised whenever the same spectrum, model and settings give other numbers than before."""

_SUFFIX = ".attribution.npz"
_ABANDONED = 3600.0  # seconds after which the half-written file of a process that was killed is removed
_ARRAYS: dict[str, tuple[type, str]] = {  # dtype, and dimensions: window, baseline, pixel
    "values": (np.float64, "wbp"),
    "baselines": (np.float32, "bp"),
    "baseline_log_prob": (np.float64, "b"),
    "flux": (np.float32, "p"),
    "wavelength": (np.float64, "p"),
    "valid": (np.bool_, "p"),
}


def result_key(
    flux: NDArray[Any],
    valid: NDArray[np.bool_],
    redshift: float,
    fingerprint: str,
    latents: NDArray[Any],
    settings: Settings,
) -> str:
    """Return 64 hex digits that change with everything an attribution depends on.

    Args:
        flux: (pixel,) as the model sees it.
        valid: (pixel,) which pixels may be put into baselines.
        redshift: Of the spectrum.
        fingerprint: The model's, which covers its wavelength grid.
        latents: (baseline, latent) of the baselines that are drawn.
        settings: Window sizes, seed, weights, evaluator.
    """
    description = {
        "algorithm": ALGORITHM,
        "redshift": float(redshift).hex(),
        "model": fingerprint,
        "settings": settings.described(),
        "flux": [str(flux.dtype), flux.shape],
        "latents": [str(latents.dtype), latents.shape],
    }
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for array in (flux, np.asarray(valid, bool), latents):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class AttributionStore(Protocol):
    """Where attributions are kept by :func:`result_key`."""

    def get(self, key: str) -> Attribution | None:
        """Return what was kept under ``key``, or None."""

    def put(self, key: str, attribution: Attribution) -> None:
        """Keep ``attribution`` under ``key``, if possible."""


class ResultCache:
    """A folder of attributions, bounded in bytes, the least recently used going first.

    Nothing here is ever an error to the caller: a damaged entry is deleted and counts as missing, and when
    the disk refuses to take anything more, one warning is logged and only what is there is used. Threads and
    processes may share the folder: entries appear complete or not at all.
    """

    def __init__(self, folder: str | Path | None = None, *, max_bytes: int = 2**30) -> None:
        """Use ``folder``, by default the user's cache folder; it is made when something is kept."""
        self.folder = platformdirs.user_cache_path("imo-explorer") / "attributions" if folder is None else Path(folder)
        self.max_bytes = max_bytes
        self._writing = True

    def get(self, key: str) -> Attribution | None:
        """Return what was kept under ``key``, exactly as it was, or None."""
        path = self._path(key)
        try:
            attribution = _read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.info("%s cannot be read: %s", path, error)
            return None
        except Exception as error:  # of a dozen kinds, by which byte is damaged
            log.info("%s is damaged and will be computed again: %s", path, error)
            _remove(path)
            return None
        try:
            os.utime(path)
        except OSError:
            pass  # gone meanwhile, or a disk that only reads: its age then stays as it was
        return attribution

    def put(self, key: str, attribution: Attribution) -> None:
        """Keep ``attribution`` under ``key`` and let the oldest go if there are too many bytes."""
        if not self._writing:
            return
        path = self._path(key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, lambda temporary: _write(temporary, attribution))
            if path.stat().st_size > self.max_bytes:
                path.unlink()  # or all others would go first
            self._evict()
        except FileNotFoundError:
            pass  # another process was faster in removing it
        except OSError as error:
            self._writing = False
            log.warning("%s: finished attributions are no longer kept on disk: %s", self.folder, error)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _evict(self) -> None:
        entries, total = [], 0
        for path in self.folder.iterdir():
            try:
                status = path.stat()
            except OSError:
                continue  # another process has removed it
            if path.name.endswith(_SUFFIX) and not path.name.startswith("."):
                entries.append((status.st_mtime_ns, path.name, status.st_size))
                total += status.st_size
            elif path.suffix == ".npz" and time.time() - status.st_mtime > _ABANDONED:
                _remove(path)
        for _, name, size in sorted(entries):
            if total <= self.max_bytes:
                break
            _remove(self.folder / name)
            total -= size


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.info("%s cannot be removed: %s", path, error)


def _write(path: Path, attribution: Attribution) -> None:
    header = {
        "redshift": attribution.redshift,
        "window_sizes": attribution.window_sizes,
        "offsets": attribution.offsets,
        "strides": attribution.strides,
        "weighting": attribution.weighting,
        "facts": [asdict(one) for one in attribution.facts],
        "provenance": attribution.provenance,
    }
    contents: dict[str, Any] = {"header": np.array(json.dumps(header, default=str))}
    for name, (kind, _) in _ARRAYS.items():
        contents[name] = np.asarray(getattr(attribution, name), kind)
    with path.open("wb") as file:
        np.savez_compressed(file, **contents)


def _read(path: Path) -> Attribution:
    """Return the attribution in ``path``; anything but what :func:`_write` left there raises some error."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        header = json.loads(str(stored["header"]))
        arrays = {name: stored[name] for name in _ARRAYS}
    sizes = {"w": len(header["window_sizes"])}
    for name, (kind, dimensions) in _ARRAYS.items():
        array = arrays[name]
        if array.dtype != kind or array.ndim != len(dimensions):
            raise ValueError(f"{name} is {array.dtype} of {array.ndim} dimensions")
        for dimension, length in zip(dimensions, array.shape, strict=True):
            if sizes.setdefault(dimension, length) != length:
                raise ValueError(f"{name} has shape {array.shape}, which does not fit {sizes}")
    if header["weighting"] not in WEIGHTINGS or not isinstance(header["provenance"], dict):
        raise ValueError("a header that was not written here")
    for name in ("window_sizes", "offsets", "strides"):
        header[name] = tuple(int(entry) for entry in header[name])
    header["redshift"] = float(header["redshift"])
    facts = tuple(WindowFacts(**one) for one in header.pop("facts", ()))  # files of earlier versions have exact values
    if len(facts) not in (0, sizes["w"]):
        raise ValueError(f"{len(facts)} facts of {sizes['w']} window sizes")
    header["facts"] = facts
    return Attribution(**arrays, **header)
