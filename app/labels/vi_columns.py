"""Columns of a visual-inspection file, and the cells that hold them.

The first 16 are prospect's ``vi_file_fields``, in its order and with its word for what is missing ("-1");
DESI's merge scripts find them by name and need a number in ``VI_quality`` and in ``Redrock_z``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.labels.records import Inspection, Label
from imo_engine.errors import InputError, SpectrumFileError

__all__ = ["COLUMNS", "NEEDED", "OWN_COLUMNS", "VI_COLUMNS", "cells_of", "escape_formula", "read_cells"]
__all__ += ["unescape_formula"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}(\.0+)?")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_ROUNDED = re.compile(r"[+-]?([0-9](\.[0-9]+)?[eE]\+?[0-9]+|[0-9]{16,}\.0*)")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What formulas begin with in some spreadsheet; the last four are the full-width forms of the first four."""


def escape_formula(text: str) -> str:
    """Return ``text`` so that no spreadsheet takes it for a formula: with ``'`` before it where one might.

    >>> escape_formula("=1+1"), escape_formula("-1"), escape_formula("don't")
    ("'=1+1", '-1', "don't")
    """
    return "'" + text if _is_formula(text) else text


def unescape_formula(text: str) -> str:
    """Undo :func:`escape_formula`.

    >>> unescape_formula("'=1+1"), unescape_formula("''=1"), unescape_formula("'tis")
    ('=1+1', "'=1", "'tis")
    """
    return text[1:] if text.startswith("'") and _is_formula(text[1:]) else text


def _is_formula(text: str) -> bool:
    """Whether ``text``, perhaps escaped already, begins as a formula and is not just a number."""
    return text.lstrip("'").startswith(_FORMULA) and not _NUMBER.fullmatch(text)


def _target(text: str) -> str:
    if _ROUNDED.fullmatch(text.strip()):
        raise ValueError("an identifier with all its digits (a spreadsheet may have rounded it)")
    return _name(text)


def _name(text: str) -> str:
    return unescape_formula(text.strip())


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text.strip()):
        raise ValueError("an integer")
    return int(text.strip().partition(".")[0])


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError("a number")
    return float(text)


def _flag(text: str) -> bool:
    if text.strip() not in ("0", "1", "True", "False"):
        raise ValueError("1 or 0")
    return text.strip() in ("1", "True")


@dataclass(frozen=True)
class _Kind:
    """How values of a column are written, and read; ``read`` raises ValueError with what it expected."""

    write: Callable[[Any], str]
    read: Callable[[str], Any]


_TARGET = _Kind(escape_formula, _target)
_NAME = _Kind(escape_formula, _name)
_TEXT = _Kind(escape_formula, unescape_formula)
_WORD = _Kind(str, str.strip)
_INT = _Kind(lambda value: str(int(value)), _integer)
_FLOAT = _Kind(lambda value: repr(float(value)), _number)
_FLAG = _Kind(lambda value: str(int(value)), _flag)


@dataclass(frozen=True)
class _Column:
    """A column, the attribute of an inspection or of its label that it holds, and how nothing is written."""

    name: str
    attribute: str
    kind: _Kind
    missing: str = ""
    nothing: Any = None
    of_label: bool = False


_LAYOUT = (
    _Column("TARGETID", "target_id", _TARGET, nothing=""),
    _Column("EXPID", "expid", _INT, nothing=-1),
    _Column("NIGHT", "night", _INT, nothing=-1),
    _Column("TILEID", "tileid", _INT, nothing=-1),
    _Column("Spec_version", "spec_version", _NAME, nothing=""),
    _Column("Redrock_version", "redrock_version", _NAME, nothing=""),
    _Column("Template_version", "template_version", _NAME, nothing=""),
    _Column("Redrock_spectype", "redrock_spectype", _NAME, nothing=""),
    _Column("Redrock_z", "redrock_z", _FLOAT, "-1"),
    _Column("Redrock_deltachi2", "redrock_deltachi2", _FLOAT, "-1"),
    _Column("VI_scanner", "scanner", _NAME, nothing=""),
    _Column("VI_quality", "quality", _INT, "-1", of_label=True),
    _Column("VI_issue", "issues", _WORD, nothing="", of_label=True),
    _Column("VI_z", "redshift", _FLOAT, of_label=True),
    _Column("VI_spectype", "spectype", _WORD, nothing="", of_label=True),
    _Column("VI_comment", "comment", _TEXT, nothing="", of_label=True),
    _Column("IMO_class", "label_class", _NAME, nothing="", of_label=True),
    _Column("IMO_star", "star", _FLAG, nothing=False, of_label=True),
    _Column("IMO_rank", "rank", _INT),
    _Column("IMO_log_prob", "log_prob", _FLOAT),
)

COLUMNS = tuple(column.name for column in _LAYOUT)
"""All columns, in the order in which they are written."""

VI_COLUMNS = COLUMNS[:16]
"""prospect's columns."""

OWN_COLUMNS = COLUMNS[16:]
"""Columns of this program: class, star (1 or 0), rank and log p in nats."""

NEEDED = ("TARGETID", "VI_scanner", "VI_quality", "VI_issue", "VI_z", "VI_spectype", "VI_comment")
"""Columns without which a file holds no labels."""


def cells_of(line: Inspection) -> list[str]:
    """Return the cells of one line, in the order of ``COLUMNS``; numbers with all their digits."""
    cells = []
    for column in _LAYOUT:
        value = getattr(line.label if column.of_label else line, column.attribute)
        cells.append(column.missing if value is None else column.kind.write(value))
    return cells


def read_cells(cells: Mapping[str, str], where: str, *, scanner: str | None = None) -> Inspection:
    """Return what the cells of one line say; columns that are missing count as empty.

    Args:
        cells: By column.
        where: File and row, for errors.
        scanner: Whose label it is where the file does not say.

    Raises:
        SpectrumFileError: a cell does not hold what its column should; it names file, row and column.
    """
    values = {}
    for column in _LAYOUT:
        text = cells.get(column.name, "")
        if column.attribute == "scanner" and scanner is not None and not text.strip():
            values[column] = scanner
            continue
        if column.kind is not _TEXT and text.strip() in ("", column.missing):
            values[column] = column.nothing
            continue
        try:
            values[column] = column.kind.read(text)
        except ValueError as error:
            raise SpectrumFileError(
                f"{where}, column {column.name}: {text[:40]!r} where {error} was expected"
            ) from None
    try:
        return _inspection(values)
    except InputError:
        for column, value in values.items():  # which one was it?
            try:
                _inspection({column: value})
            except InputError as error:
                raise SpectrumFileError(f"{where}, column {column.name}: {error}") from None
        raise


def _inspection(values: Mapping[_Column, Any]) -> Inspection:
    """Return an inspection with these values and harmless ones for the rest."""
    of_line: dict[str, Any] = {"target_id": "1", "scanner": "x"}
    of_line |= {column.attribute: value for column, value in values.items() if not column.of_label}
    label = Label(**{column.attribute: value for column, value in values.items() if column.of_label})
    return Inspection(label=label, **of_line)
