"""Files in folders and the folders below them."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from imo_engine.errors import InputError, SpectrumFileError
from imo_engine.readers.plain_files import printable

__all__ = ["named_files"]


def named_files(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
) -> tuple[list[Path], dict[Path, Path]]:
    """Return files, each once, in the order given; folders are replaced by all files in them, to any depth.

    Files in folders come in the order of their names. Links are followed, but into no folder twice; what is hidden
    (its name begins with a dot) is left out.

    Returns:
        The files, and for those that were found in a folder which one that was.

    Raises:
        SpectrumFileError: a folder that cannot be read; one line that begins with its name.
        InputError: no path, or something that is none.
    """
    files: dict[Path, None] = {}
    folder_of: dict[Path, Path] = {}
    for given in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        if not isinstance(given, (str, os.PathLike)):
            raise InputError(f"'paths' has {given!r}, not the name of a file")
        path = Path(given)
        try:
            if not path.is_dir():
                files[path.absolute()] = None
                folder_of.pop(path.absolute(), None)
                continue
            inside = sorted(_files_below(path.absolute(), set()))
        except (OSError, ValueError) as error:
            raise SpectrumFileError(f"{printable(path.name)}: cannot be read: {error}") from error
        if not inside:
            raise SpectrumFileError(f"{printable(path.name)}: an empty folder; expected files with spectra")
        for found in inside:
            if found not in files:
                files[found], folder_of[found] = None, path
    if not files:
        raise InputError("'paths' names no file")
    return list(files), folder_of


def _files_below(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Walk through a folder that is not among those seen, by device and inode."""
    state = folder.stat()
    if (state.st_dev, state.st_ino) in seen:
        return
    seen.add((state.st_dev, state.st_ino))
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files_below(path, seen)
        elif path.is_file():
            yield path
