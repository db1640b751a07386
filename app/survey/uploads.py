"""Files that a browser sent, read without trusting them.

A short-lived process of its own (:mod:`app.survey.upload_worker`) reads them in a private folder, with limits on memory
and time, and only arrays and plain text come back. A client's file name is text for messages: files get names that the
server chose.
"""

import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open

from app.survey.candidates import check_redshift
from app.survey.upload_worker import ANSWER, ERROR, GRID, REQUEST, TEXTS
from imo_engine.errors import InputError, SpectrumFileError
from imo_engine.spectra.spectra import Spectra

__all__ = ["UploadLimits", "read_upload"]

log = logging.getLogger(__name__)

_AT_ONCE = 2
_readers = threading.BoundedSemaphore(_AT_ONCE)
_MAX_NAME = 100
_MAX_MESSAGE = 600
_ARRAYS = {
    "flux": np.float32,
    "ivar": np.float32,
    "measured": np.bool_,
    "redshift": np.float64,
    "ra": np.float64,
    "dec": np.float64,
    "norm": np.float64,
    "zwarn": np.int64,
}
_TEXT_COLUMNS = ("target_id", "problem", "note", "source", "instrument", "spectype", "objtype")
_PIXELS = ("flux", "ivar", "measured")


@dataclass(frozen=True)
class UploadLimits:
    """What one upload may be and take.

    Attributes:
        files: Number of files.
        bytes: Bytes of all files together, as they came.
        unpacked_bytes: The same after gunzip.
        spectra: Number of spectra in all files together.
        memory: Bytes of address space of the process that reads them.
        cpu_seconds: Its processor time.
        wall_seconds: Time until it has to be finished.
    """

    files: int = 8
    bytes: int = 128 << 20
    unpacked_bytes: int = 512 << 20
    spectra: int = 200
    memory: int = 2 << 30
    cpu_seconds: int = 60
    wall_seconds: float = 90.0


def read_upload(
    files: Sequence[tuple[str, bytes]],
    *,
    wavelength: ArrayLike,
    redshift: float | Mapping[str, float] | None = None,
    limits: UploadLimits | None = None,
) -> Spectra:
    """Read uploaded spectra of any kind that is read from files, in the same way.

    Only HDF5 and pickles are refused. Each file may be gzipped. What it is shows in its content. One among several that
    cannot be read is a row with the reason. Blocks for about two seconds or until ``limits.wall_seconds``, so not to be
    called where a page waits for it.

    Args:
        files: Name as the browser gave it, and content, of each.
        wavelength: (N,) grid of the result, vacuum Angstrom, observed frame: the model's.
        redshift: In place of the files' own: for all, or by target id.
        limits: What is allowed; by default :class:`UploadLimits`.

    Returns:
        As :func:`~imo_engine.readers.any_survey.read_spectra`; spectra that cannot be scored have a ``problem``.
        ``source`` is the client's file name without folders: text from a stranger, like ``target_id``, ``problem``
        and ``note``.

    Raises:
        SpectrumFileError: none of the files can be used, or they are too much; one line that begins with the name of
            the first as it was given.
        InputError: no files, or a redshift that is not a galaxy's.
    """
    limits = limits or UploadLimits()
    names = _unique([_bare(name) for name, _ in files])
    _check_amount(names, [len(content) for _, content in files], limits)
    if isinstance(redshift, Mapping):
        redshift = {str(target): check_redshift(z, f"redshift[{target!r}]") for target, z in redshift.items()}
    elif redshift is not None:
        redshift = check_redshift(redshift)
    grid = np.asarray(wavelength, np.float64)
    if not _readers.acquire(timeout=limits.wall_seconds):
        raise SpectrumFileError(f"{', '.join(names)}: other files are being read; try again in a minute")
    try:
        with tempfile.TemporaryDirectory(prefix="imo-upload-", ignore_cleanup_errors=True) as private:
            folder = Path(private)
            stored = {f"upload{number}-{secrets.token_hex(4)}": name for number, name in enumerate(names)}
            for path, (_, content) in zip(stored, files, strict=True):
                (folder / path).write_bytes(content)
            np.save(folder / GRID, grid, allow_pickle=False)
            request = {"files": stored, "redshift": redshift, "limits": asdict(limits)}
            (folder / REQUEST).write_text(json.dumps(request), encoding="utf-8")
            _run(folder, names, limits)
            return _received(folder, names, grid, limits)
    finally:
        _readers.release()


def _bare(name: str) -> str:
    """Return a client's file name without folders, in one line of reasonable length."""
    last = str(name).replace("\\", "/").rpartition("/")[2]
    text = "".join(c if c.isprintable() else "?" for c in last).strip()
    return text[-_MAX_NAME:] or "unnamed file"


def _unique(names: Sequence[str]) -> list[str]:
    """Return names of which no two are the same."""
    found: list[str] = []
    for name in names:
        number, new = 1, name
        while new in found:
            number += 1
            stem, dot, suffix = name.partition(".")
            new = f"{stem} ({number}){dot}{suffix}"
        found.append(new)
    return found


def _check_amount(names: Sequence[str], sizes: Sequence[int], limits: UploadLimits) -> None:
    if not names:
        raise InputError("'files' is empty; expected at least one file")
    if len(names) > limits.files:
        raise SpectrumFileError(f"{names[limits.files]}: {len(names)} files; {limits.files} can be read at a time")
    total = 0
    for name, size in zip(names, sizes, strict=True):
        total += size
        if total > limits.bytes:
            also = " with the files before it" if total > size else ""
            raise SpectrumFileError(
                f"{name}: {total / 2**20:,.1f} MiB{also}; at most {limits.bytes / 2**20:,.1f} MiB can be uploaded"
            )


def _command(folder: Path) -> list[str]:
    # -P: the folder with a stranger's files is not a place to import from
    return [sys.executable, "-P", "-m", "app.survey.upload_worker", str(folder)]


def _environment(folder: Path) -> dict[str, str]:
    """Return what the process needs to find Python's packages, and nothing of the server's secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL") if name in os.environ}
    packages = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    # a thread pool would reserve more address space than the arrays take
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return (
        kept
        | threads
        | {
            "PYTHONPATH": os.pathsep.join(filter(None, packages)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(folder),
            "TMPDIR": str(folder),
        }
    )


def _run(folder: Path, names: Sequence[str], limits: UploadLimits) -> None:
    """Run the reading process to its end, whatever end that is.

    Raises:
        SpectrumFileError: it did not answer.
    """
    who = ", ".join(names)
    with (folder / "log.txt").open("wb") as errors:
        try:
            done = subprocess.run(
                _command(folder),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd=folder,
                env=_environment(folder),
                timeout=limits.wall_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise SpectrumFileError(f"{who}: not read within {limits.wall_seconds:g} s") from None
    if done.returncode == -getattr(signal, "SIGXCPU", 0) or done.returncode == -signal.SIGKILL:
        raise SpectrumFileError(f"{who}: reading was stopped (more than {limits.cpu_seconds} s, or out of memory)")
    if done.returncode:
        log.warning("reading an upload ended with %s: %s", done.returncode, _tail(folder / "log.txt"))
        raise SpectrumFileError(f"{who}: reading ended unexpectedly ({done.returncode}); the file may be damaged")


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 400))
        return file.read().decode("utf-8", "replace")


def _received(folder: Path, names: Sequence[str], grid: NDArray[np.float64], limits: UploadLimits) -> Spectra:
    """Read the answer as if it came from a stranger too: what was read could have taken over its reader.

    Raises:
        SpectrumFileError: what the reading process found wrong.
    """
    who = ", ".join(names)
    if (folder / ERROR).is_file():
        with (folder / ERROR).open("rb") as file:
            text = file.read(_MAX_MESSAGE).decode("utf-8", "replace")
        message = "".join(c if c.isprintable() else "?" for c in text)
        raise SpectrumFileError(message if message.startswith(tuple(names)) else f"{who}: {message}")
    damaged = SpectrumFileError(f"{who}: reading it gave no spectra")
    path = folder / ANSWER
    try:
        if path.is_symlink() or path.stat().st_size > (limits.spectra + 1) * (9 * len(grid) + 4096):
            raise damaged
        with safe_open(path, framework="numpy") as answer:
            arrays: dict[str, Any] = {name: answer.get_tensor(name) for name in _ARRAYS}
            texts = json.loads((answer.metadata() or {})[TEXTS])
        n = len(arrays["redshift"])
        columns: dict[str, Any] = {name: np.array(texts[name], np.str_) for name in _TEXT_COLUMNS}
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise damaged from error
    for name, kind in _ARRAYS.items():
        if arrays[name].dtype != kind or arrays[name].shape != ((n, len(grid)) if name in _PIXELS else (n,)):
            raise damaged
    if n > limits.spectra or any(values.shape != (n,) for values in columns.values()):
        raise damaged
    return Spectra(wavelength=grid, **arrays, **columns)
