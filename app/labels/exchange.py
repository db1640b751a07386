"""Labels as files: CSV in prospect's visual-inspection columns, and ECSV that says what it was made with."""

import csv
import io
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import MaskedColumn, Table

from app.labels.records import ISSUES, QUALITIES, Inspection, LabelRecord
from app.labels.vi_columns import COLUMNS, NEEDED, cells_of, read_cells
from imo_engine import __version__
from imo_engine.errors import ImoError, InputError, SpectrumFileError
from imo_engine.system.files import write_atomically

if TYPE_CHECKING:
    from app.survey.survey import Survey

__all__ = ["inspections", "read_csv", "to_csv", "to_ecsv", "vi_file_name", "write_file"]

MAX_BYTES, MAX_ROWS, MAX_COLUMNS = 32_000_000, 200_000, 64
"""Largest file that is read."""

_PACKAGES = ("astropy", "numpy", "sqlalchemy", "torch")


def inspections(records: Iterable[LabelRecord], survey: "Survey | None" = None) -> tuple[Inspection, ...]:
    """Return the labels that say something, with redshift, rank and log p of their targets where ``survey`` has them.

    Ordered by rank; targets without a rank or that the survey does not have come last, by target and scanner.
    """
    row_of: dict[str, int] = {}
    if survey is not None:
        for row in survey.order():
            row_of.setdefault(str(survey.spectra.target_id[row]), int(row))
    lines = []
    for record in records:
        if record.label.empty:
            continue
        row = row_of.get(record.target_id)
        if survey is None or row is None:
            lines.append(Inspection(record.target_id, record.scanner, record.label))
            continue
        z, log_prob, rank = survey.spectra.redshift[row], survey.log_prob[row], int(survey.rank[row])
        lines.append(
            Inspection(
                record.target_id,
                record.scanner,
                record.label,
                redrock_z=float(z) if np.isfinite(z) else None,
                rank=rank or None,
                log_prob=float(log_prob) if np.isfinite(log_prob) else None,
            )
        )
    return tuple(sorted(lines, key=lambda line: (line.rank or sys.maxsize, line.target_id, line.scanner)))


def to_csv(lines: Iterable[Inspection]) -> bytes:
    """Return a visual-inspection file, UTF-8; text that a spreadsheet might take for a formula begins with ``'``.

    :func:`read_csv` returns exactly the same lines.
    """
    text = io.StringIO(newline="")
    # CRLF: the writer quotes cells that hold a character of the line end, so a lone CR in a comment survives
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(cells_of, lines))
    return text.getvalue().encode()


def to_ecsv(lines: Iterable[Inspection], *, model: str, data: str) -> bytes:
    """Return a table for :meth:`astropy.table.Table.read`, ``format="ascii.ecsv"``.

    Columns are those of the CSV file with numbers masked where missing; ``VI_comment`` is a column of Python
    strings, verbatim. The table's ``meta`` has the arguments, versions, time, and what quality and issues mean.

    Args:
        lines: Labels.
        model: Name and fingerprint of the model.
        data: What the spectra are.

    Raises:
        InputError: an identifier that begins with #.
    """
    lines = tuple(lines)
    for line in lines:
        if line.target_id.startswith("#"):  # a line that begins so is a comment to every reader of ECSV
            raise InputError(f"target {line.target_id!r} cannot be written as ECSV; use CSV")
    table = Table(
        {
            "TARGETID": _text([line.target_id for line in lines]),
            "EXPID": np.array([line.expid for line in lines], np.int64),
            "NIGHT": np.array([line.night for line in lines], np.int64),
            "TILEID": np.array([line.tileid for line in lines], np.int64),
            "Spec_version": _text([line.spec_version for line in lines]),
            "Redrock_version": _text([line.redrock_version for line in lines]),
            "Template_version": _text([line.template_version for line in lines]),
            "Redrock_spectype": _text([line.redrock_spectype for line in lines]),
            "Redrock_z": _numbers([line.redrock_z for line in lines], float),
            "Redrock_deltachi2": _numbers([line.redrock_deltachi2 for line in lines], float),
            "VI_scanner": _text([line.scanner for line in lines]),
            "VI_quality": _numbers([line.label.quality for line in lines], np.int64),
            "VI_issue": _text([line.label.issues for line in lines]),
            "VI_z": _numbers([line.label.redshift for line in lines], float),
            "VI_spectype": _text([line.label.spectype for line in lines]),
            # object columns are written as JSON, which keeps line breaks and blanks at both ends
            "VI_comment": np.array([line.label.comment for line in lines], dtype=object),
            "IMO_class": _text([line.label.label_class for line in lines]),
            "IMO_star": np.array([line.label.star for line in lines], bool),
            "IMO_rank": _numbers([line.rank for line in lines], np.int64),
            "IMO_log_prob": _numbers([line.log_prob for line in lines], float, unit="nat"),
        },
        meta={
            "model": model,
            "data": data,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "software": _software(),
            "VI_quality": {str(quality): text for quality, text in QUALITIES.items()},
            "VI_issue": dict(ISSUES),
        },
    )
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    return text.getvalue().encode()


def write_file(path: str | Path, content: bytes) -> None:
    """Write an export; a file that was there is replaced only by the whole of the new one.

    Raises:
        ImoError: the disk refuses; what was there is unchanged.
    """
    try:
        write_atomically(path, lambda temporary: temporary.write_bytes(content))
    except OSError as error:
        raise ImoError(f"{path}: cannot be written: {error.strerror or error}") from None


def read_csv(source: str | Path | bytes, *, name: str = "", scanner: str | None = None) -> tuple[Inspection, ...]:
    """Read a visual-inspection file of this program or of prospect; other columns are passed over.

    Args:
        source: A file, or what was uploaded.
        name: What errors call it, if it was uploaded.
        scanner: Whose labels they are where the file does not say.

    Raises:
        SpectrumFileError: not such a file, too large, or a cell cannot be used; it names file, row and column.
            Rows are counted as a spreadsheet does, the header is row 1.
    """
    name = name or ("upload" if isinstance(source, bytes) else str(source))
    text = _decoded(source, name)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[Inspection] = []
    seen: dict[tuple[str, str], int] = {}
    row = 1
    try:
        header = next(reader, [])
        _check_header(header, name)
        for row, cells in enumerate(reader, start=2):
            if row > MAX_ROWS + 1:
                raise SpectrumFileError(f"{name}: more than {MAX_ROWS} rows")
            if not cells:
                continue
            where = f"{name}: row {row}"
            if len(cells) != len(header):
                raise SpectrumFileError(f"{where}: {len(cells)} cells, the header has {len(header)}")
            line = read_cells(dict(zip(header, cells, strict=True)), where, scanner=scanner)
            first = seen.setdefault((line.scanner, line.target_id), row)
            if first != row:
                raise SpectrumFileError(
                    f"{where}, column TARGETID: {line.target_id} by {line.scanner} is in row {first} already"
                )
            lines.append(line)
    except csv.Error as error:
        raise SpectrumFileError(f"{name}: near row {row + 1}: not CSV: {error}") from None
    return tuple(lines)


def vi_file_name(title: str, scanner: str) -> str:
    """Return a file name as prospect makes it; DESI's merge scripts look for ``desi*.csv``.

    >>> vi_file_name("Simulated demo survey", "A/B")
    'desi-vi_Simulated-demo-survey_A-B.csv'
    """
    return "desi-vi_{}_{}.csv".format(*(re.sub(r"[^A-Za-z0-9.]+", "-", part).strip("-.") for part in (title, scanner)))


def _decoded(source: str | Path | bytes, name: str) -> str:
    """Return the text of a file that is not too large."""
    try:
        if isinstance(source, bytes):
            data = source
        else:
            with Path(source).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpectrumFileError(f"{name}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise SpectrumFileError(f"{name}: larger than {MAX_BYTES // 1_000_000} MB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpectrumFileError(f"{name}: byte {error.start} is not UTF-8 text") from None


def _check_header(header: list[str], name: str) -> None:
    if len(header) > MAX_COLUMNS:
        raise SpectrumFileError(f"{name}: {len(header)} columns; at most {MAX_COLUMNS} are read")
    missing = [column for column in NEEDED if column not in header]
    if missing:
        raise SpectrumFileError(f"{name}: row 1: column {', '.join(missing)} is missing; expected prospect's columns")
    twice = [column for column in header if header.count(column) > 1]
    if twice:
        raise SpectrumFileError(f"{name}: row 1: column {twice[0]} is there twice")


def _text(values: list[str]) -> np.ndarray:
    return np.array(values, dtype=np.str_)


def _numbers(values: list[Any], kind: type, unit: str | None = None) -> MaskedColumn:
    missing = [value is None for value in values]
    return MaskedColumn([0 if value is None else value for value in values], mask=missing, dtype=kind, unit=unit)


def _software() -> dict[str, str]:
    """Versions of what made the file."""
    found = {"imo-explorer": __version__, "python": ".".join(map(str, sys.version_info[:3]))}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
