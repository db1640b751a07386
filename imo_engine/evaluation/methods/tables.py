"""The tables of ``imo evaluate attribution`` as rows of text, from the document that the summary is."""

from collections.abc import Sequence
from typing import Any

__all__ = ["choices_table", "kind_table", "kinds_table", "main_table", "sanity_table", "secondary_table"]

Row = tuple[str, ...]
Document = dict[str, Any]


def main_table(document: Document) -> list[Row]:
    """Return the headline: one row a contender, with errors, chance, and each window's ceiling."""
    first = _first(document)
    names = (f"average_precision_{first}", f"hit_at_1_{first}", f"hit_at_3_{first}", "repair_256", "restoration_256")
    every, seen = document["scores"]["all"], document["scores"]["seen"]
    contenders = document["contenders"]
    rows: list[Row] = [
        (
            "method",
            "AP, normalised",
            "less the paper's",
            "AP, seen ones",
            "hit@1",
            "hit@3",
            "repair 256 px",
            "restoration 256 px",
            "CPU s",
            "evaluations",
        )
    ]
    chance = document["chance"].get("all", {})
    rows.append(("*chance*", "0", "", "0", *(_plain(chance.get(name)) for name in names[1:3]), "0", "0", "", ""))
    for k, one in enumerate(contenders):
        name = one["name"]
        if one["refused"]:
            rows.append((one["label"], *["does not apply"], *[""] * 8))
            continue
        scores = [_at(every[metric], k) for metric in names]
        ceiling = document["ceilings"].get(str(one["window"]), {}).get("all", {}) if one["family"] == "inverse" else {}
        cells = [
            _score(score) + (f" of {ceiling[metric]:.2f}" if metric in ceiling else "")
            for metric, score in zip(names, scores, strict=True)
        ]
        difference = "" if name == document["reference"] else _difference(scores[0])
        cost = ("", "") if one["family"] == "oracle" else (_plain(one["seconds"], 2), f"{one['evaluations']:.0f}")
        rows.append((one["label"], cells[0], difference, _score(_at(seen[names[0]], k)), *cells[1:], *cost))
    return rows


def secondary_table(document: Document) -> list[Row]:
    """Return the other scores of all contenders."""
    first, other = (f"{sigma:g}sigma" for sigma in (*document["protocol"]["thresholds"], 0)[:2])
    columns = {
        f"AP, {other.removesuffix('sigma')} sigma": f"average_precision_{other}",
        "AP, mean over orders of ties": f"expected_average_precision_{first}",
        "soft area": "soft_area",
        "ROC area": f"area_under_roc_{first}",
        "lift": f"lift_{first}",
        "repair 64": "repair_64",
        "repair 1024": "repair_1024",
        "restoration 64": "restoration_64",
        "restoration 1024": "restoration_1024",
        "faithfulness": "faithfulness",
    }
    every = document["scores"]["all"]
    columns = {heading: metric for heading, metric in columns.items() if metric in every}
    rows: list[Row] = [("method", *columns)]
    rows += [
        (one["label"], *(_score(_at(every[metric], k)) for metric in columns.values()))
        for k, one in enumerate(document["contenders"])
        if not one["refused"]
    ]
    return rows


def kinds_table(document: Document) -> list[Row]:
    """Return how many outliers of each kind there were, what chance scores and what a window size can score."""
    first = _first(document)
    sizes = [size for size in document["ceilings"] if int(size) > 1]
    rows: list[Row] = [
        ("kind", "outliers", "seen", "with a place", "chance of hit@1", *(f"AP ceiling, {size} px" for size in sizes))
    ]
    for one in document["kinds"]:
        kind = one["kind"]
        ceilings = (document["ceilings"][s].get(kind, {}).get(f"average_precision_{first}") for s in sizes)
        chance = document["chance"].get(kind, {}).get(f"hit_at_1_{first}")
        numbers = (str(one["cases"]), str(one["seen"]), str(one["located"]) if one["local"] else "global")
        rows.append((kind, *numbers, _plain(chance), *map(_plain, ceilings)))
    return rows


def kind_table(document: Document, metric: str, *, local: bool | None = None) -> list[Row]:
    """Return one score of all contenders kind by kind; only kinds that have a place, or only those that have none."""
    mean, error = (document["by_kind"][metric][name] for name in ("mean", "error"))
    kinds = [
        (k, one["kind"])
        for k, one in enumerate(document["kinds"])
        if (local is None or one["local"] == local) and any(row[k] is not None for row in mean)
    ]
    rows: list[Row] = [("method", *(kind.replace("_", " ") for _, kind in kinds))]
    rows += [
        (one["label"], *(_score((mean[number][k], error[number][k])) for k, _ in kinds))
        for number, one in enumerate(document["contenders"])
        if not one["refused"]
    ]
    return rows


def choices_table(document: Document) -> list[Row]:
    """Return the choices that the paper leaves open, with each weighting."""
    choices = document["choices"]
    if not choices["scores"]:
        return []
    first = _first(document)
    names = (f"average_precision_{first}", f"hit_at_3_{first}", "restoration_256")
    rows: list[Row] = [("choice", "weights", "AP", "less the usual", "hit@3", "restoration 256 px", "less the usual")]
    for choice, label in choices["labels"].items():
        for weighting in choices["weightings"]:
            name = f"{choice}/{weighting}"
            place = choices["names"].index(name)
            precision, hit, restored = (_at(choices["scores"][metric], place) for metric in names)
            usual = name == choices["reference"]
            rows.append(
                (
                    label,
                    weighting.replace("_", " "),
                    _score(precision),
                    "" if usual else _difference(precision),
                    _score(hit),
                    _score(restored),
                    "" if usual else _difference(restored),
                )
            )
    return rows


def sanity_table(document: Document) -> list[Row]:
    """Return the sanity checks."""
    scores = document["sanity"]["scores"]
    if not scores:
        return []
    checks = list(document["sanity"]["checks"])
    rows: list[Row] = [("method", *(check.replace("_", " ") for check in checks))]
    rows += [
        (one["label"], *(_plain(scores[one["name"]][check]) for check in checks))
        for one in document["contenders"]
        if one["name"] in scores
    ]
    return rows


def _first(document: Document) -> str:
    return f"{document['protocol']['thresholds'][0]:g}sigma"


def _at(table: dict[str, list[float | None]], place: int) -> list[float | None]:
    return [table[name][place] for name in ("mean", "error", "difference", "difference_error")]


def _plain(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _score(value: Sequence[float | None]) -> str:
    """Write mean and error of [mean, error, ...]."""
    if value[0] is None:
        return ""
    return f"{value[0]:.2f}" + ("" if value[1] is None else f" ± {value[1]:.2f}")


def _difference(value: Sequence[float | None]) -> str:
    """Write the difference of [mean, error, difference, error], bold where it is beyond two errors."""
    if value[2] is None or value[3] is None:
        return ""
    text = f"{value[2]:+.2f} ± {value[3]:.2f}"
    return f"**{text}**" if abs(value[2]) > 2 * value[3] else text
