"""Ordinary files from strangers: opened, unpacked within limits, and whatever goes wrong becomes one line."""

import gzip
import os
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from imo_engine.errors import ImoError, OtherKindError, SpectrumFileError

__all__ = ["GZIP", "MAX_EXPANSION", "MAX_GUNZIPPED", "gunzip", "one_error", "plain_file", "printable", "shortened"]

GZIP = b"\x1f\x8b"
"""How a gzip file begins."""
MAX_GUNZIPPED = 4 << 30
"""Bytes that a gzip file may unpack to."""
MAX_EXPANSION = 50
"""How many times its own size a gzip file may unpack to, if that is more than 64 MiB."""

Check = Callable[[bytes, str], None]
"""Is given the first bytes of a file and its name, and raises SpectrumFileError if it should not be read."""

_PIECE = 1 << 20


@contextmanager
def one_error(name: str, kind: str) -> Iterator[None]:
    """Turn whatever goes wrong while the file ``name`` is read into a SpectrumFileError of one line."""
    try:
        yield
    except ImoError:
        raise
    except FileNotFoundError as error:
        raise SpectrumFileError(f"{name}: no such file") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SpectrumFileError(f"{name}: truncated or damaged gzip file") from error
    except OSError as error:
        raise SpectrumFileError(f"{name}: cannot be read: {_one_line(error)}") from error
    except MemoryError as error:
        raise SpectrumFileError(f"{name}: not enough memory to read it") from error
    except Exception as error:
        # astropy and NumPy answer damaged headers with any exception there is
        raise SpectrumFileError(f"{name}: damaged {kind}: {_one_line(error)}") from error


def printable(text: str) -> str:
    """Replace line breaks, control characters and undecodable bytes, so that a message stays one line."""
    return "".join(c if c.isprintable() else "?" for c in text)


def shortened(value: object, most: int = 40) -> str:
    """Return a value as it is shown in a message: its repr, in ``most`` characters at most.

    >>> shortened("x" * 1000)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..."
    """
    text = repr(printable(value[:most])) if isinstance(value, str) else printable(repr(value))
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _one_line(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__} {error}"
    return printable(" ".join(text.split()))[:200]


@contextmanager
def plain_file(path: Path, name: str, check: Check, limit: int | None = None) -> Iterator[BinaryIO]:
    """Open an ordinary file that begins as ``check`` wants it, unpacking gzip into a nameless temporary file."""
    # opening a pipe or a device could block forever or never end
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise SpectrumFileError(f"{name}: not an ordinary file")
    with ExitStack() as stack:
        file: BinaryIO = stack.enter_context(open(path, "rb"))
        head = file.read(24)
        if not head.startswith(GZIP):
            check(head, name)
        else:
            unpacked = stack.enter_context(tempfile.TemporaryFile())
            gunzip(file, unpacked, name, check, limit)
            # astropy refuses to read from a handle that is also open for writing
            file = stack.enter_context(open(os.dup(unpacked.fileno()), "rb"))
        file.seek(0)
        yield file


def gunzip(packed: BinaryIO, unpacked: BinaryIO, name: str, check: Check, limit: int | None = None) -> None:
    """Unpack gzip if it begins as ``check`` wants it and is no larger than the limits, ``limit`` bytes among them.

    Raises:
        SpectrumFileError: it is larger, or it is empty.
    """
    limit = min(limit or MAX_GUNZIPPED, MAX_GUNZIPPED, max(64 * _PIECE, MAX_EXPANSION * packed.seek(0, os.SEEK_END)))
    packed.seek(0)
    size = 0
    with gzip.GzipFile(fileobj=packed) as stream:
        while piece := stream.read(_PIECE):
            if not size:
                check(piece, name)
            size += len(piece)
            if size > limit:
                raise SpectrumFileError(f"{name}: unpacks to more than {limit >> 20} MiB; gunzip it yourself if it may")
            unpacked.write(piece)
    if not size:
        raise OtherKindError(f"{name}: the file is empty", "empty")
    unpacked.flush()
