"""Catalogues of log p that were made before: whose they are is told by the identifiers of the targets."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imo_engine.errors import SpectrumFileError
from imo_engine.ranking.ranking import read_catalogue
from imo_engine.readers.fits_file import FitsFile
from imo_engine.readers.opened_file import open_file
from imo_engine.readers.plain_files import one_error, plain_file, printable
from imo_engine.readers.target_columns import IDENTIFIERS, LOG_PROB, MINUS_LOG_PROB, is_catalogue
from imo_engine.spectra.spectra import Spectra

__all__ = ["Scores", "read_scores"]

_EXPECTED = f"target_id (or TARGETID) and {LOG_PROB[0]} (or {LOG_PROB[3]}, {MINUS_LOG_PROB[0]}, {MINUS_LOG_PROB[3]})"
_MAX_BYTES, _MAX_LINE = 1 << 30, 1 << 16


@dataclass(frozen=True, eq=False)
class Scores:
    """Log p of n targets.

    Attributes:
        name: Of the file.
        target_id: (n,) all different.
        log_prob: (n,) nats; NaN without a score.
        rank: (n,) 1 for the lowest log p; 0 without one.
        not_ranked: (n,) why a target with a log p has no rank.
        model: What made it, name and fingerprint; empty where the file does not say.
    """

    name: str
    target_id: NDArray[np.str_]
    log_prob: NDArray[np.float64]
    rank: NDArray[np.int64]
    not_ranked: NDArray[np.str_]
    model: str = ""

    @property
    def size(self) -> int:
        """How many targets have a rank."""
        return int((self.rank > 0).sum())

    def of(self, spectra: Spectra) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.str_]]:
        """Return log p, rank and why there is none of each spectrum, (m,); those that are not there have NaN and 0."""
        row_of = {target: row for row, target in enumerate(self.target_id.tolist())}
        rows = np.array([row_of.get(target, -1) for target in spectra.target_id.tolist()], np.int64)
        there = rows >= 0
        log_prob = np.where(there, self.log_prob[rows], np.nan)
        reason = np.where(there, self.not_ranked[rows], f"not in {self.name}")
        return log_prob, np.where(there, self.rank[rows], 0), reason.astype(np.str_)


def read_scores(path: Path) -> Scores:
    """Read a catalogue: of ``imo rank``, or an ECSV, CSV or FITS table with identifiers and log p, or its negative.

    Ranks are the file's own if it has a column rank, else by log p.

    Raises:
        SpectrumFileError: not such a table, or a target occurs twice.
    """
    name = printable(path.name)
    model = ""
    if path.name.lower().endswith((".fits", ".fits.gz", ".fit")):
        columns = _of_fits(path)
    elif path.name.lower().endswith(".ecsv"):
        table = read_catalogue(path, required=())
        columns = {str(title).lower(): _texts(table[title]) for title in table.colnames}
        model = str(table.meta.get("model", ""))
    else:
        columns = _of_text(path, name)
    key = next((title for title in IDENTIFIERS if title in columns), "")
    value = next((title for title in (*LOG_PROB, *MINUS_LOG_PROB) if title in columns), "")
    if not key or not value:
        found = printable(", ".join(list(columns)[:8]))[:100]
        raise SpectrumFileError(f"{name}: not a catalogue of log p; expected columns {_EXPECTED}; found {found}")
    log_prob = _numbers(columns[value], value, name)
    log_prob = -log_prob if value in MINUS_LOG_PROB else log_prob
    repeated = next((target for target, count in Counter(columns[key]).items() if count > 1), None)
    if repeated is not None:
        raise SpectrumFileError(f"{name}: target {printable(repeated)[:40]} occurs more than once")
    n = len(log_prob)
    if "rank" in columns:
        rank = np.nan_to_num(_numbers(columns["rank"], "rank", name)).astype(np.int64)
    else:
        rank = np.zeros(n, np.int64)
        order = np.argsort(log_prob, kind="stable")[: int(np.isfinite(log_prob).sum())]
        rank[order] = np.arange(1, len(order) + 1)
    said = columns.get("not_ranked", [""] * n)
    no_rank = np.isfinite(log_prob) & (rank == 0)
    reasons = [text or f"no rank in {name}" if none else "" for text, none in zip(said, no_rank, strict=True)]
    return Scores(name, np.array(columns[key], np.str_), log_prob, rank, np.array(reasons, np.str_), model)


def _texts(column: NDArray[Any]) -> list[str]:
    masked = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else np.zeros(len(column), bool)
    return ["" if empty else str(value) for value, empty in zip(column, masked, strict=True)]


def _of_fits(path: Path) -> dict[str, list[str]]:
    with open_file(path) as opened:
        if opened.fits is None:
            raise opened.refusal()
        file = opened.fits
        table = next((hdu for hdu in range(len(file)) if is_catalogue([t.lower() for t in file.columns(hdu)])), None)
        if table is None:
            raise SpectrumFileError(f"{file.name}: has no table with columns {_EXPECTED}")
        titles = {title.lower(): title for title in file.columns(table)}
        keys = [key for key in IDENTIFIERS if key in titles][:1]
        numbers = [key for key in (*LOG_PROB, *MINUS_LOG_PROB, "rank") if key in titles]
        found = {key: _identifiers(file, table, titles[key]) for key in keys}
        return found | {key: [repr(value) for value in file.floats(table, titles[key]).tolist()] for key in numbers}


def _identifiers(file: FitsFile, table: int, title: str) -> list[str]:
    try:
        return [str(value) for value in file.integers(table, title)]
    except SpectrumFileError:
        return file.texts(table, title)


def _of_text(path: Path, name: str) -> dict[str, list[str]]:
    with one_error(name, "table"), plain_file(path, name, lambda head, name: None, _MAX_BYTES) as file:
        first = file.readline(_MAX_LINE).decode("utf-8", "replace")
        file.seek(0)
        delimiter = next((character for character in ",;\t" if character in first), r"\s+")
        table = pd.read_csv(file, sep=delimiter, dtype=str, keep_default_na=False, comment="#", skipinitialspace=True)
    if not isinstance(table.index, pd.RangeIndex):
        raise SpectrumFileError(f"{name}: has more values in a row than columns")
    return {str(title).strip().lower(): [text.strip() for text in table[title]] for title in table.columns}


def _numbers(texts: list[str], title: str, name: str) -> NDArray[np.float64]:
    try:
        return np.array([float(text) if text not in ("", "--") else np.nan for text in texts], np.float64)
    except ValueError as error:
        raise SpectrumFileError(f"{name}: {title} is not a column of numbers ({printable(str(error))[:60]})") from None
