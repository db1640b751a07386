"""Files of figures for articles: their style, their formats, and what is checked before anything is computed."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imo_engine.errors import ImoError, InputError
from imo_engine.system.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

__all__ = ["FIGURE_STYLE", "FIGURE_SUFFIXES", "check_figure", "write_figure"]

FIGURE_SUFFIXES = (".pdf", ".png", ".svg")
"""Formats that can be written, by the ending of the name."""

FIGURE_STYLE: "dict[RcKeyType, Any]" = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib and has every letter used here
    "font.size": 6.5,
    "axes.labelsize": 6.5,
    "axes.linewidth": 0.5,
    "axes.edgecolor": "#5b6470",
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "lines.linewidth": 0.6,
    "path.simplify_threshold": 0.3,
    "pdf.fonttype": 42,  # fonts are embedded whole, as journals want them
    "svg.fonttype": "path",
    "svg.hashsalt": "imo",  # the same picture is the same file
}
"""Sizes in points for a page of an article, and fonts that are embedded."""


def check_figure(path: Path) -> None:
    """Refuse a name that cannot be written, before anything is computed.

    Raises:
        InputError: another suffix, no such folder, or one that takes no files.
    """
    if path.suffix.lower() not in FIGURE_SUFFIXES:
        raise InputError(f"{path}: ends in {path.suffix or 'no suffix'!r}; expected {', '.join(FIGURE_SUFFIXES)}")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise InputError(f"{path}: there is no folder {folder}")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; expected the name of a file")
    try:
        tempfile.TemporaryFile(dir=folder).close()  # permissions alone do not tell: disks can be read-only
    except OSError as error:
        raise InputError(f"{path}: nothing can be written to {folder}: {error.strerror or error}") from None


def write_figure(figure: "Figure", path: Path, *, dpi: int = 300) -> None:
    """Write a figure in the format of the name's ending, fonts included; the same drawing is the same bytes.

    Args:
        figure: A drawing.
        path: Its ending is one of :data:`FIGURE_SUFFIXES`.
        dpi: Pixels per inch of a .png.

    Raises:
        ImoError: the disk refuses.
    """
    import matplotlib

    dates = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(path.suffix.lower(), {})
    try:
        with matplotlib.rc_context(FIGURE_STYLE):
            write_atomically(
                path,
                lambda name: figure.savefig(
                    name, dpi=dpi if path.suffix.lower() == ".png" else None, metadata={**dates}
                ),
            )
    except OSError as error:
        raise ImoError(f"{path}: cannot be written: {error}") from None
