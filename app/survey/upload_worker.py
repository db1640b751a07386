"""Reads uploaded files in a process of its own, which has little memory, little time, and nothing to steal.

Started by :mod:`app.survey.uploads` as ``python -m app.survey.upload_worker FOLDER``. FOLDER holds the files under
names that the server chose, ``request.json``, and the wavelengths to resample to in ``wavelength.npy``. The answer is
there afterwards: ``spectra.safetensors``, or ``error.txt`` with one line.
"""

import gzip
import json
import re
import sys
import zlib
from pathlib import Path
from typing import Any

__all__ = ["ANSWER", "ERROR", "GRID", "REQUEST", "TEXTS", "answer", "main"]

REQUEST, GRID, ANSWER, ERROR = "request.json", "wavelength.npy", "spectra.safetensors", "error.txt"
TEXTS = "texts"
"""Key of the answer's metadata under which the words are, as JSON."""

_MAX_TEXT, _MAX_REASON = 300, 590
_REASONS = ("problem", "note")
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


def main(folder: Path) -> None:
    """Answer the request in ``folder`` within its limits."""
    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    try:
        _limit(request["limits"])
        answer(folder, request)
    except MemoryError:
        _refuse(folder, "not enough memory to read it")


def answer(folder: Path, request: dict[str, Any]) -> None:
    """Read the files that the request names and write spectra, or what is wrong with the files, to ``folder``."""
    try:
        error = _read(folder, request)
    except MemoryError:
        error = "not enough memory to read it"
    except Exception as unexpected:
        error = f"cannot be read ({type(unexpected).__name__})"
    if error:
        _refuse(folder, error)


def _refuse(folder: Path, error: str) -> None:
    (folder / ERROR).write_text(error, encoding="utf-8", errors="replace")


def _limit(limits: dict[str, Any]) -> None:
    """Have the system end this process if it takes more than it should."""
    import resource

    for what, most in (
        (resource.RLIMIT_AS, limits["memory"]),
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_FSIZE, max(limits["unpacked_bytes"], 64 << 20)),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.setrlimit(what, (most, most))
        except (ValueError, OSError):
            if sys.platform == "linux":  # macOS refuses some of these; the clock of the parent remains
                raise


def _read(folder: Path, request: dict[str, Any]) -> str:
    """Read the files and write the answer; return what is wrong with them, if anything is."""
    import numpy as np

    from imo_engine.errors import ImoError
    from imo_engine.readers import read_survey

    stored = _Stored(folder, request["files"], request["limits"]["unpacked_bytes"])
    try:
        paths = [stored.unpacked(name) for name in request["files"]]
        grid = np.load(folder / GRID, allow_pickle=False)
        spectra = read_survey(paths, wavelength=grid, redshift=request["redshift"], uploaded=True).spectra
    except ImoError as error:
        return stored.as_uploaded(str(error), _MAX_REASON)
    most = request["limits"]["spectra"]
    if len(spectra) > most:
        names = ", ".join(request["files"].values())
        return f"{names}: {len(spectra)} spectra; at most {most} can be added at a time"
    _write(folder / ANSWER, spectra, stored)
    return ""


class _Stored:
    """The files in the folder, by the names that the server gave them."""

    def __init__(self, folder: Path, uploaded: dict[str, str], most: int) -> None:
        self._folder = folder
        self._uploaded = uploaded
        self._left = most

    def unpacked(self, stored: str) -> Path:
        """Return the path of a file, unpacked if need be, with the extension that the user gave it.

        Raises:
            SpectrumFileError: it unpacks to too much.
        """
        from imo_engine.readers.plain_files import one_error

        path, name = self._folder / stored, self._uploaded[stored]
        named = path.with_suffix(_suffix(name))
        with one_error(name, "file"):
            packed = path.rename(path.with_suffix(".packed"))
            if not self._gunzipped(packed, named, name):
                packed.replace(named)
            self._left -= named.stat().st_size
        return named

    def _gunzipped(self, packed: Path, unpacked: Path, name: str) -> bool:
        """Unpack a file if it is gzipped, once and undamaged; otherwise whoever reads it finds what is wrong."""
        from imo_engine.readers.plain_files import gunzip

        if not _is_gzipped(packed):
            return False
        with packed.open("rb") as file, unpacked.open("wb") as whole:
            try:
                gunzip(file, whole, name, lambda head, name: None, max(self._left, 1))
            except (EOFError, gzip.BadGzipFile, zlib.error):
                return False
        return not _is_gzipped(unpacked)

    def as_uploaded(self, text: str, most: int = _MAX_TEXT) -> str:
        """Return a text of so many characters in which files have the names that the user knows."""
        for stored, name in self._uploaded.items():
            suffix = _suffix(name)
            text = text.replace(stored + suffix, name) if suffix else text
            text = text.replace(stored, _stem(name))
        return text[:most]


def _is_gzipped(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _suffix(name: str) -> str:
    """Return the extension of a client's file name, without that of gzip, if it is a plain word, else nothing."""
    _, dot, last = name.removesuffix(".gz").rpartition(".")
    return dot + last if _SUFFIX.fullmatch(dot + last) else ""


def _stem(name: str) -> str:
    return name.removesuffix(".gz").rpartition(".")[0] or name


def _write(path: Path, spectra: Any, stored: _Stored) -> None:  # noqa: ANN401 - not imported before the limits
    from dataclasses import fields

    import numpy as np
    import safetensors.numpy

    columns = {f.name: getattr(spectra, f.name) for f in fields(spectra) if f.name != "wavelength"}
    texts = {
        name: [stored.as_uploaded(str(text), _MAX_REASON if name in _REASONS else _MAX_TEXT) for text in values]
        for name, values in columns.items()
        if values.dtype.kind == "U"
    }
    arrays = {name: np.ascontiguousarray(values) for name, values in columns.items() if name not in texts}
    safetensors.numpy.save_file(arrays, path, {TEXTS: json.dumps(texts)})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
