"""Files of an evaluation: the summary as JSON, and all scores as an ECSV table."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from imo_engine.errors import ImoError
from imo_engine.system.files import write_atomically

__all__ = ["SHIPPED", "read_summary", "score_table", "write_summary", "write_table"]


SHIPPED = "attribution-scores.json"
"""Name of the summary that ships with the embedded model, for :func:`imo_engine.system.embedded.embedded_file`."""

_COLUMNS = ("mean", "error", "difference", "difference_error")


def write_summary(path: Path, document: dict[str, Any]) -> None:
    """Write the document of :func:`imo_engine.evaluation.methods.summary.summarise`.

    Raises:
        ImoError: the disk refuses.
    """
    text = json.dumps(document, separators=(",", ":"), allow_nan=False, ensure_ascii=False) + "\n"
    try:
        write_atomically(path, lambda name: name.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise ImoError(f"{path}: cannot be written: {error}") from None


def read_summary(path: Path) -> dict[str, Any]:
    """Read what :func:`write_summary` wrote; the schema is that of :mod:`imo_engine.evaluation.methods.summary`.

    Raises:
        ImoError: no such file, damaged, or of another schema.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImoError(f"{path}: not a summary of an evaluation: {error}") from None
    if not isinstance(document, dict) or document.get("schema") != 1:
        raise ImoError(f"{path}: not a summary of an evaluation of schema 1")
    return document


def score_table(document: dict[str, Any]) -> Table:
    """Return all scores of a document, a row for each group of outliers, method and metric."""
    methods = [one["name"] for one in document["contenders"]]
    rows = [
        (group, name, metric, *(table[column][k] for column in _COLUMNS))
        for group, metrics in document["scores"].items()
        for metric, table in metrics.items()
        for k, name in enumerate(methods)
    ]
    rows += [
        (one["kind"], name, metric, table["mean"][k][kind], table["error"][k][kind], None, None)
        for metric, table in document["by_kind"].items()
        for k, name in enumerate(methods)
        for kind, one in enumerate(document["kinds"])
    ]
    rows = [row for row in rows if row[3] is not None]
    names = ("outliers", "method", "metric", *_COLUMNS)
    columns = list(zip(*rows, strict=True))
    table = Table({name: _column(values) for name, values in zip(names, columns, strict=True)})
    descriptions = {
        "outliers": "all, seen (those that lower log p), or a kind",
        "mean": "over kinds and strengths",
        "error": "standard deviation of the bootstrap by spectrum",
        "difference": f"less that of {document['reference']}, same spectra",
        "difference_error": "the same",
    }
    for name, text in descriptions.items():
        table[name].description = text
    table.meta |= {key: document[key] for key in ("model", "model_fingerprint", "survey", "protocol", "reference")}
    return table


def _column(values: tuple[Any, ...]) -> np.ndarray:
    if isinstance(values[0], str):
        return np.array(values, dtype=np.str_)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def write_table(path: Path, document: dict[str, Any]) -> None:
    """Write :func:`score_table` as ECSV.

    Raises:
        ImoError: the disk refuses.
    """
    table = score_table(document)
    try:
        write_atomically(path, lambda name: table.write(name, format="ascii.ecsv", overwrite=True))
    except OSError as error:
        raise ImoError(f"{path}: cannot be written: {error}") from None
