"""How well each attribution method finds known causes: the scores of ``imo evaluate attribution`` that ship."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution.record import RECOMMENDED_WEIGHTING, WEIGHTINGS
from imo_engine.errors import ImoError

__all__ = ["FAMILIES", "SCORES_FILE", "MethodScores", "ScoreTable", "read_scores"]

SCORES_FILE = "attribution-scores.json"

FAMILIES = {
    "combination": "IMO, combined",
    "inverse": "IMO, one window size",
    "gradient": "gradients",
    "replacement": "occlusion and ablation",
    "surrogate": "LIME",
    "control": "controls",
    "oracle": "ceilings: the truth itself",
}
"""Families of contenders, by their name in the file, for people."""

_SURE = 2.0  # errors of a difference beyond which it is called one
_SCHEMA = 1


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """One score of several contenders, in the order of a table.

    Attributes:
        labels: (n,) what they are called.
        families: (n,) keys of :data:`FAMILIES`, or what the weights are for choices.
        mean: (n,) NaN where a contender has no score.
        error: (n,) standard errors of a bootstrap over spectra.
        difference: (n,) to the reference on the same spectra.
        difference_error: (n,) standard errors of these.
        seconds: (n,) a spectrum on one thread, NaN where there is none.
        notes: (n,) why there is no score, else empty.
        reference: Position of the reference, the paper's method.
        used: Position of what the program uses unless told otherwise; None if it is not among them.
        chance: What random values score; None if the score has no such level.
        text: What the score means.
    """

    labels: tuple[str, ...]
    families: tuple[str, ...]
    mean: NDArray[np.float64]
    error: NDArray[np.float64]
    difference: NDArray[np.float64]
    difference_error: NDArray[np.float64]
    seconds: NDArray[np.float64]
    notes: tuple[str, ...]
    reference: int
    used: int | None
    chance: float | None
    text: str

    def best_first(self) -> NDArray[np.int64]:
        """Return positions from the highest score to the lowest; those without one last."""
        return np.argsort(-np.nan_to_num(self.mean, nan=-np.inf), kind="stable")

    def verdict(self) -> str:
        """Say in words how the reference does beside methods that could be used in its place."""
        rivals = [k for k, family in enumerate(self.families) if family not in ("oracle", "combination", "inverse")]
        with np.errstate(invalid="ignore"):
            sure = np.abs(self.difference) > _SURE * self.difference_error
            better = [k for k in rivals if sure[k] and self.difference[k] > 0]
            worse = [k for k in rivals if sure[k] and self.difference[k] < 0]
        equal = [k for k in rivals if np.isfinite(self.mean[k]) and k not in better and k not in worse]
        own = self._score(self.reference)
        here = "" if self.used in (None, self.reference) else f"{self._score(self.used)}, used here. "
        chance = "" if self.chance is None else f" (chance {self.chance:.2f})"
        parts = [f"{len(worse)} other methods are lower by more than {_SURE:g} errors"] if worse else []
        parts += [f"{len(equal)} not told apart from it"] if equal else []
        parts += [f"higher: {', '.join(self.labels[k] for k in better)}"] if better else ["none is higher"]
        return f"{here}{own}{chance}. {'; '.join(parts)}."

    def _score(self, row: int) -> str:
        return f"{self.labels[row]}: {self.mean[row]:.2f} ± {self.error[row]:.2f}"


@dataclass(frozen=True, eq=False)
class MethodScores:
    """The whole file; its schema is in :mod:`imo_engine.evaluation.methods.summary`."""

    content: dict[str, Any]

    @property
    def metrics(self) -> dict[str, str]:
        """Names of the scores by what they mean."""
        return {_sentence(one["text"]): name for name, one in self.content["metrics"].items() if self._has(name)}

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of outliers, for people."""
        return tuple(one["kind"].replace("_", " ").replace("agn", "AGN") for one in self.content["kinds"])

    @property
    def cases(self) -> int:
        """How many outliers were explained."""
        return int(sum(one["cases"] for one in self.content["kinds"]))

    def table(self, metric: str, *, seen: bool = False) -> ScoreTable | None:
        """Return a score of every contender; over the outliers that log p sees if ``seen``; None if not measured."""
        found = self.content["scores"]["seen" if seen else "all"].get(metric)
        if found is None:
            return None
        contenders = self.content["contenders"]
        names = [one["name"] for one in contenders]
        used = f"imo_{RECOMMENDED_WEIGHTING}"
        return self._table(
            metric,
            found,
            labels=[one["label"] for one in contenders],
            families=[one["family"] for one in contenders],
            reference=names.index(self.content["reference"]),
            used=names.index(used) if used in names else None,
            seconds=[one["seconds"] for one in contenders],
            notes=[one["refused"] for one in contenders],
        )

    def by_kind(self, metric: str) -> NDArray[np.float64] | None:
        """Return the score of every contender and kind, (contender, kind), NaN where there is none; or None."""
        found = self.content["by_kind"].get(metric)
        return None if found is None else np.array(found["mean"], np.float64)

    def choices(self, metric: str) -> ScoreTable | None:
        """Return what each choice that the paper leaves open scores, with each weighting; None if not measured."""
        choices = self.content["choices"]
        found = choices["scores"].get(metric)
        if found is None:
            return None
        pairs = [name.split("/") for name in choices["names"]]
        return self._table(
            metric,
            found,
            labels=[choices["labels"][choice] for choice, _ in pairs],
            families=[WEIGHTINGS[weighting] for _, weighting in pairs],
            reference=choices["names"].index(choices["reference"]),
            used=None,
            seconds=[None] * len(pairs),
            notes=[""] * len(pairs),
        )

    def _has(self, metric: str) -> bool:
        return metric in self.content["scores"]["all"]

    def _table(
        self,
        metric: str,
        found: dict[str, list[float | None]],
        *,
        labels: Sequence[str],
        families: Sequence[str],
        reference: int,
        used: int | None,
        seconds: Sequence[float | None],
        notes: Sequence[str],
    ) -> ScoreTable:
        about = self.content["metrics"][metric]
        chance = self.content["chance"].get("all", {}).get(metric, about["chance"])
        scored = np.array([not note for note in notes])  # a method that is refused may have passed on a few spectra
        numbers = {name: np.where(scored, np.array(found[name], np.float64), np.nan) for name in _COLUMNS}
        return ScoreTable(
            labels=tuple(labels),
            families=tuple(families),
            seconds=np.array(seconds, np.float64),
            notes=tuple(notes),
            reference=reference,
            used=used,
            chance=None if chance is None else float(chance),
            text=_sentence(about["text"]),
            **numbers,
        )


_COLUMNS = ("mean", "error", "difference", "difference_error")


def read_scores(path: Path) -> MethodScores:
    """Read a summary that ``imo evaluate attribution`` wrote.

    Raises:
        ImoError: there is none, it is damaged, or of another version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["schema"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImoError(f"{path}: cannot be read as scores of attribution methods: {error}") from None
    if version != _SCHEMA:
        raise ImoError(f"{path}: scores of version {version}, expected {_SCHEMA}")
    return MethodScores(content)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
