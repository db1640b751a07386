"""The scores of all cases condensed: one small JSON document that the tables, the page and the app read.

Schema of what :func:`summarise` returns and ``--summary`` writes (numbers have three decimals, null where there is
none)::

    schema            1
    model, model_fingerprint, survey, protocol, window_sizes     as in evaluation.json
    reference         name of the contender that all are compared with (the paper's method)
    metrics           {name: {"text", "best": 1, "chance": number or null}}; the keys of all scores below
    kinds             [{"kind", "local", "cases", "seen", "located"}]: outliers scored; those that lower log p by
                      protocol.least_deficit; those with a true pixel at the first threshold
    chance            {"all" | kind: {metric: number}} where it depends on the cases (hits)
    ceilings          {window: {"all" | kind: {metric: number}}} best possible for maps constant over windows
    contenders        [{"name", "label", "family", "window", "settings", "seconds", "evaluations", "refused"}] in the
                      order of a table; seconds of one thread, median; "refused" says why there are no scores
    scores            {"all" | "seen": {metric: table}}: means over kind and strength; a table is {"mean", "error",
                      "difference", "difference_error"}, each a list in the order of contenders; differences are to the
                      reference on the same spectra; "seen" has fewer metrics
    by_kind           {metric: {"mean", "error"}}, for each contender a list in the order of kinds
    choices           {"cases", "labels": {choice: text}, "weightings": [...], "names": ["choice/weighting", ...],
                       "reference": one of names, "scores": {metric: table in the order of names}}
    sanity            {"cases", "checks": {check: text}, "scores": {contender: {check: mean rank correlation}}}
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import ImoError
from imo_engine.evaluation.cases import GLOBAL_KINDS
from imo_engine.evaluation.methods.bootstrap import Estimates, estimate, macro_mean
from imo_engine.evaluation.methods.choices import CHOICE_WEIGHTINGS, CHOICES
from imo_engine.evaluation.methods.contenders import REFERENCE, contenders_for
from imo_engine.evaluation.methods.runner import read_results
from imo_engine.evaluation.methods.sanity import CHECKS
from imo_engine.model.outlier_model import OutlierModel

__all__ = ["BY_KIND", "CHOICE_REFERENCE", "metrics_of", "summarise"]

CHOICE_REFERENCE = "baselines_8/inverse_variance"

Record = dict[str, Any]


def metrics_of(protocol: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every score by its name: what it means and what chance scores."""
    found: dict[str, dict[str, Any]] = {}

    def add(name: str, text: str, chance: float | None) -> None:
        found[name] = {"text": text, "chance": chance}

    for sigma in protocol["thresholds"]:
        tail, where = f"{sigma:g}sigma", f"truth beyond {sigma:g} sigma"
        add(f"average_precision_{tail}", f"normalised average precision, ties grouped; {where}", 0.0)
        add(f"expected_average_precision_{tail}", f"the same, mean over orders of ties; {where}", 0.0)
        add(f"hit_at_1_{tail}", f"the highest place lies on the cause; {where}", None)
        add(f"hit_at_3_{tail}", f"one of the highest three places does; {where}", None)
        add(f"area_under_roc_{tail}", f"area under the receiver operating curve; {where}", 0.5)
        add(f"lift_{tail}", f"share of positive values on the cause over the share of its pixels; {where}", 1.0)
    add("soft_area", "how early the squared significance is collected, no threshold", 0.0)
    for budget in protocol["budgets"]:
        add(f"repair_{budget}", f"log p regained by baselines in the {budget} highest pixels, less random ones", 0.0)
        add(
            f"restoration_{budget}", f"log p regained by the twin in the {budget} highest pixels, less random ones", 0.0
        )
    add("faithfulness", "correlation of summed values with the gain in log p, random ranges", 0.0)
    return found


BY_KIND = ("average_precision", "hit_at_1", "hit_at_3", "soft_area", "restoration_256")
"""Scores that are kept kind by kind, and for those that are seen; the first threshold's where they depend on one."""

_OF_CHOICES = (*BY_KIND, "repair_256", "faithfulness")


def summarise(folder: Path, description: dict[str, Any], model: OutlierModel) -> dict[str, Any]:
    """Condense the results in a folder.

    Raises:
        ImoError: no results yet, or damaged ones.
    """
    records = read_results(folder, "main")
    if not records:
        raise ImoError(f"{folder}: holds no results")
    protocol = description["protocol"]
    names = list(metrics_of(protocol))
    contenders = contenders_for(model)
    order = [one.name for one in contenders]
    first = f"{protocol['thresholds'][0]:g}sigma"
    kinds = sorted({record["kind"] for record in records})
    reference = order.index(REFERENCE)
    seed = int(protocol["seed"])
    table = {name: _table(records, order, name) for name in names}
    groups = {"all": _cells(records), "seen": _cells([r if r["seen"] else None for r in records])}
    rows_of = {kind: _cells([r if r["kind"] == kind else None for r in records]) for kind in kinds}

    kept = _full_names(BY_KIND, names, first)
    scores = {
        group: {
            name: _columns(estimate(table[name], cells, reference, seed=seed))
            for name in (names if group == "all" else kept)
        }
        for group, cells in groups.items()
    }
    by_kind: dict[str, Any] = {}
    for name in kept:
        found = [estimate(table[name], rows_of[kind], reference, seed=seed) for kind in kinds]
        by_kind[name] = {
            "mean": [[_short(one.mean[k]) for one in found] for k in range(len(order))],
            "error": [[_short(one.error[k]) for one in found] for k in range(len(order))],
        }
    everywhere = {"all": groups["all"], **rows_of}
    return {
        "schema": 1,
        **{key: description[key] for key in ("model", "model_fingerprint", "survey", "protocol", "window_sizes")},
        "reference": REFERENCE,
        "metrics": {name: {**what, "best": 1} for name, what in metrics_of(protocol).items()},
        "kinds": [
            {
                "kind": kind,
                "local": kind not in GLOBAL_KINDS,
                "cases": sum(r["kind"] == kind for r in records),
                "seen": sum(r["kind"] == kind and r["seen"] for r in records),
                "located": sum(r["kind"] == kind and r["true_pixels"].get(first, 0) > 0 for r in records),
            }
            for kind in kinds
        ],
        "chance": _facts(records, everywhere, "chance"),
        "ceilings": {
            size: _facts([{"f": r["ceilings"].get(size, {})} for r in records], everywhere, "f")
            for size in sorted(records[0]["ceilings"], key=int)
        },
        "contenders": [
            {
                "name": one.name,
                "label": one.label,
                "family": one.family,
                "window": one.window,
                "settings": one.settings,
                "seconds": _median(records, one.name, "seconds"),
                "evaluations": _median(records, one.name, "evaluations"),
                "refused": next((r["refused"][one.name] for r in records if one.name in r["refused"]), ""),
            }
            for one in contenders
        ],
        "scores": scores,
        "by_kind": by_kind,
        "choices": _choices(folder, _full_names(_OF_CHOICES, names, first), seed),
        "sanity": _sanity(folder),
    }


def _choices(folder: Path, names: Sequence[str], seed: int) -> dict[str, Any]:
    records = read_results(folder, "choices")
    order = [f"{choice}/{weighting}" for choice in CHOICES for weighting in CHOICE_WEIGHTINGS]
    # cells would hold one case each: kinds count alike as they are
    cells = [np.arange(len(records))] if records else []
    reference = order.index(CHOICE_REFERENCE)
    return {
        "cases": len(records),
        "labels": CHOICES,
        "weightings": list(CHOICE_WEIGHTINGS),
        "names": order,
        "reference": CHOICE_REFERENCE,
        "scores": {
            name: _columns(estimate(_table(records, order, name), cells, reference, seed=seed))
            for name in (names if records else ())
        },
    }


def _sanity(folder: Path) -> dict[str, Any]:
    records = read_results(folder, "sanity")
    names = list(dict.fromkeys(name for record in records for name in record["scores"]))
    return {
        "cases": len(records),
        "checks": CHECKS,
        "scores": {
            name: {
                check: _short(float(np.mean([r["scores"][name][check] for r in records if name in r["scores"]])))
                for check in CHECKS
            }
            for name in names
        },
    }


def _table(records: Sequence[Record], order: Sequence[str], metric: str) -> NDArray[np.float64]:
    """Return scores (case, contender), NaN where there is none."""
    rows = [[record["scores"].get(name, {}).get(metric, np.nan) for name in order] for record in records]
    return np.array(rows, dtype=np.float64).reshape(len(records), len(order))


def _cells(records: Sequence[Record | None]) -> list[NDArray[np.int64]]:
    """Return the rows of each kind and strength; None is in none."""
    cells: dict[tuple[str, int], list[int]] = {}
    for row, record in enumerate(records):
        if record is not None:
            cells.setdefault((record["kind"], record["strength"]), []).append(row)
    return [np.array(rows) for _, rows in sorted(cells.items())]


def _facts(
    records: Sequence[Record], groups: dict[str, list[NDArray[np.int64]]], key: str
) -> dict[str, dict[str, float | None]]:
    """Return macro means of what cases say under ``key``, group by group."""
    names = sorted({name for record in records for name in record[key]})
    values = np.array([[record[key].get(name, np.nan) for name in names] for record in records], dtype=np.float64)
    found = {}
    for group, cells in groups.items():
        means = macro_mean(values.reshape(len(records), len(names)), cells)
        known = {name: _short(mean) for name, mean in zip(names, means, strict=True) if np.isfinite(mean)}
        if known:
            found[group] = known
    return found


def _full_names(short: Sequence[str], names: Sequence[str], first: str) -> list[str]:
    """Return the names of metrics with that of the first threshold, where there is one."""
    return [name if name in names else f"{name}_{first}" for name in short]


def _columns(found: Estimates) -> dict[str, list[float | None]]:
    names = ("mean", "error", "difference", "difference_error")
    return {name: [_short(value) for value in getattr(found, name)] for name in names}


def _median(records: Sequence[Record], name: str, key: str) -> float | None:
    values = [record["scores"][name][key] for record in records if name in record["scores"]]
    return _short(float(np.median(values))) if values else None


def _short(value: float) -> float | None:
    return round(float(value), 3) + 0.0 if np.isfinite(value) else None
