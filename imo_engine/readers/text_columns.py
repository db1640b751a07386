"""Columns of numbers in text, separated by commas, semicolons, tabs or blanks, or ECSV, and what is said before them.

One way of reading serves all: every value that is used becomes a 64-bit floating point number, and one that
cannot gives an error with its line.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import OtherKindError, SpectrumFileError
from imo_engine.readers.column_names import FLUX, looks_like_spectrum, names_and_units
from imo_engine.readers.ecsv_header import EcsvHeader
from imo_engine.readers.plain_files import printable, shortened

__all__ = ["MAX_BYTES", "MAX_COLUMNS", "MAX_ROWS", "UTF_16", "TextColumns", "is_number"]

MAX_BYTES = 64 << 20
"""Bytes of a text table, unpacked."""
MAX_ROWS = 500_000
"""Lines of a text table; a DESI spectrum has 7781 pixels, an echelle spectrum up to a few 100,000."""
MAX_COLUMNS = 256
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""How text in UTF-16 begins, which is what Excel calls Unicode text."""

_CALL_THEM = "; it looks like a spectrum: call its columns so, with units, such as 'wave [nm]' and 'flux [Jy]'"
_WORDS = {"": np.nan, "null": np.nan, "none": np.nan, "--": np.nan, "true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class TextColumns:
    """The columns that are used, (rows,) each, by their names in small letters, and what is said before them.

    ``texts`` has those that are kept as they are written. ``units`` are those of an ECSV header, and those in brackets
    in the names of columns. ``meta`` has what an ECSV header, or comments such as ``# z = 0.1``, say; its keys are in
    small letters.
    """

    name: str
    columns: dict[str, NDArray[np.float64]]
    texts: dict[str, list[str]]
    units: dict[str, str]
    meta: dict[str, Any]

    @classmethod
    def parse(
        cls,
        content: bytes,
        name: str,
        needed: Sequence[Sequence[str]],
        optional: Sequence[str],
        expected: str,
        texts: Sequence[str] = (),
    ) -> "TextColumns":
        """Read a text table.

        Args:
            content: the file, at most ``MAX_BYTES``.
            name: its name, for messages.
            needed: groups of column names; one of each group has to be there.
            optional: names of columns that are read if they are there.
            expected: the needed columns in words.
            texts: names of columns that are kept as text if they are there.

        Raises:
            OtherKindError: too large, no table, or columns missing.
            SpectrumFileError: values that are not numbers, or an ECSV header that is damaged.
        """
        lines = _lines(content, name)
        start = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
        comments = [line[1:] for line in lines[:start] if line.startswith("#")]
        header = EcsvHeader.parse(comments, name) if EcsvHeader.recognises(comments) else None
        if start == len(lines):
            raise OtherKindError(f"{name}: has no table; expected columns {expected}", "text without a table")
        try:
            titles, first = _split(lines[start]), start + 1
        except csv.Error:
            raise OtherKindError(f"{name}: line {start + 1} is not one of a table", "text without a table") from None
        if all(map(is_number, titles)) and comments and len(_split(comments[-1])) == len(titles):
            # NumPy's savetxt writes the names of the columns as a comment
            titles, first = _split(comments[-1]), start
        if all(map(is_number, titles)):
            raise OtherKindError(
                f"{name}: line {start + 1} has numbers, not the names of columns: {expected}",
                "text without names of columns",
                may_be_spectrum=len(titles) > 1 and 100 <= float(titles[0]) <= 1e6,
            )
        if header is not None and titles != header.columns:
            raise SpectrumFileError(f"{name}: line {start + 1} does not have the columns of the ECSV header")
        if len(titles) > MAX_COLUMNS:
            raise SpectrumFileError(f"{name}: has {len(titles)} columns; {MAX_COLUMNS} are read at most")

        names, stated = (list(part) for part in zip(*names_and_units(titles), strict=True))
        if not all(any(title in names for title in group) for group in needed):
            found = printable(", ".join(titles[:8]))[:100]
            alike = FLUX in needed and looks_like_spectrum(titles)
            raise OtherKindError(
                f"{name}: expected columns {expected}; found {found}{_CALL_THEM if alike else ''}",
                "text with other columns",
                may_be_spectrum=alike,
            )
        known = {*optional, *texts, *(title for group in needed for title in group)}
        used = [column for column, title in enumerate(names) if title in known]
        repeated = next((names[column] for column in used if names.count(names[column]) > 1), None)
        if repeated is not None:
            raise SpectrumFileError(f"{name}: has two columns {repeated}")
        delimiter = _delimiter(lines[start])
        numbers = [column for column in used if names[column] not in texts]
        words = [column for column in used if names[column] in texts]
        values, kept = _values(lines, first, delimiter, numbers, words, titles, name)
        meta = _stated(comments if header is None else header.comments) | ({} if header is None else header.meta)
        called = {title.lower(): one for title, one in zip(titles, names, strict=True)}
        in_header = {} if header is None else {called[key]: unit for key, unit in header.units.items() if key in called}
        return cls(
            name,
            {names[column]: np.array(found, np.float64) for column, found in zip(numbers, values, strict=True)},
            {names[column]: found for column, found in zip(words, kept, strict=True)},
            {title: unit for title, unit in zip(names, stated, strict=True) if unit} | in_header,
            meta,
        )

    def first(self, names: Sequence[str]) -> str:
        """Return the first of these columns that is there, empty if none is."""
        return next((title for title in names if title in self.columns), "")


def is_number(text: str) -> bool:
    """Tell whether a text stands for a number; NaN and infinity do."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _lines(content: bytes, name: str) -> list[str]:
    if len(content) > MAX_BYTES:
        most = f"{MAX_BYTES >> 20} MiB"
        raise OtherKindError(f"{name}: larger than {most}, the most that a text table may have", f"text above {most}")
    try:
        text = content.decode("utf-16" if content.startswith(UTF_16) else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # whatever its encoding, names and numbers are the same letters
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.count("\n") > MAX_ROWS:
        raise OtherKindError(f"{name}: has more than {MAX_ROWS} lines", f"text of more than {MAX_ROWS} lines")
    return text.split("\n")


def _stated(comments: Sequence[str]) -> dict[str, Any]:
    """Return what comments of the form "key = value" or "key: value" say."""
    found = (re.fullmatch(r"\s*([A-Za-z_]+)\s*[=:]\s*(.*\S)\s*", comment) for comment in comments)
    return {match[1].lower(): match[2] for match in found if match}


def _delimiter(line: str) -> str:
    return next((character for character in ",;\t" if character in line), " ")


def _split(line: str) -> list[str]:
    reader = csv.reader([line.strip()], delimiter=_delimiter(line), skipinitialspace=True)
    return [title.strip() for title in next(reader, [])]


def _values(
    lines: Sequence[str],
    first: int,
    delimiter: str,
    numbers: Sequence[int],
    words: Sequence[int],
    titles: Sequence[str],
    name: str,
) -> tuple[list[list[float]], list[list[str]]]:
    """Return columns of numbers and columns of words of the lines from the one numbered ``first`` (from 0)."""
    found: list[list[float]] = [[] for _ in numbers]
    kept: list[list[str]] = [[] for _ in words]
    body = (line.strip(" ") for line in lines[first:])
    reader = csv.reader(body, delimiter=delimiter, skipinitialspace=True)
    for row in reader:
        if not row or row[0].startswith("#"):
            continue
        number = first + reader.line_num
        if len(row) != len(titles):
            raise SpectrumFileError(f"{name}: line {number} has {len(row)} values for {len(titles)} columns")
        for texts, column in zip(kept, words, strict=True):
            texts.append(row[column].strip())
        for values, column in zip(found, numbers, strict=True):
            text = row[column].strip()
            if delimiter == ";":
                text = text.replace(",", ".")  # where columns end with semicolons, a comma is a decimal point
            word = _WORDS.get(text.lower())
            if word is None and not is_number(text):
                shown = f"{printable(titles[column])[:60]} is {shortened(text)}"
                raise SpectrumFileError(f"{name}: line {number}: {shown}, not a number")
            values.append(float(text) if word is None else word)
    return found, kept
