"""The order of the targets: searched, filtered, and what comes next. Needs no browser."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import param
from numpy.typing import NDArray

from app.labels import Label
from app.state.choices import Choices
from app.survey.survey import Survey

__all__ = [
    "ALL",
    "NOT_RANKED",
    "STARRED",
    "UNLABELLED",
    "YOURS",
    "ZWARN",
    "Subset",
    "Triage",
    "coordinates_in",
    "separation",
]

ALL, UNLABELLED, STARRED, YOURS = "all targets", "without a label", "starred", "your files"
NOT_RANKED, ZWARN = "not ranked", "redshift warning"
_CLASSES = {"STAR": "stars (survey's class)", "QSO": "quasars (survey's class)"}
_RADIUS = 60.0  # arcsec
_NUMBER = r"[+-]?\d+(?:\.\d*)?"
_DEGREES = re.compile(rf"\s*({_NUMBER})\s*[,;\s]\s*({_NUMBER})\s*")
_HOURS = r"\s*(\d+)[:h ]\s*(\d+)[:m ]\s*(\d+\.?\d*)s?"
_SEXAGESIMAL = re.compile(_HOURS + r"[,;\s]+([+-]?\d+)[:d° ]\s*(\d+)[:m' ]\s*(\d+\.?\d*)[s\"]?\s*")


@dataclass(frozen=True)
class Subset:
    """Some of the targets, chosen by hand or because they are alike, and what to call them."""

    words: str
    targets: frozenset[str]


class Triage(param.Parameterized):
    """Which targets the table shows and in which order; moves the selection through them.

    The order is made anew when a filter changes and not when a label does, so that no row runs away from under
    the hand that labels it.
    """

    search = param.String(default="", doc="Part of an identifier, or coordinates.")
    only = param.String(default=ALL, doc="One of the choices: all, without a label, starred, own files, or a class.")
    within = param.ClassSelector(class_=Subset, default=None, allow_None=True, doc="Only these targets; None: all.")
    unlabelled_first = param.Boolean(default=False, doc="Targets with neither class nor quality before all others.")
    shown = param.Parameter(default=(), doc="Identifiers that pass the filters, in order.")
    own = param.Parameter(default=(), doc="Targets that the user brought, the newest first; all else follows before.")
    words = param.String(default="", doc="What the last move or search has to say.")

    def __init__(self, state: Choices, survey: Survey, label_of: Callable[[str], Label]) -> None:
        """Start with everything in order of rank.

        Args:
            state: Whose target is written.
            survey: The targets; :meth:`bring` brings more.
            label_of: The label of a target as the user sees it.
        """
        super().__init__()
        self._state = state
        self._survey, self._kinds = survey, _kinds(survey)
        self._label_of = label_of
        self._own: tuple[str, ...] = ()
        self._order: tuple[str, ...] | None = None  # as the table sorts it; None: as filtered
        self._arrange()
        self.param.watch(lambda *events: self._arrange(), ["search", "only", "within", "unlabelled_first"])

    @property
    def targets(self) -> tuple[str, ...]:
        """Every target of the session: its own files first, then by rank."""
        survey = self._survey
        ranked = (str(target) for target in survey.spectra.target_id[survey.order()])
        return (*self._own, *(target for target in ranked if target not in survey.candidates))

    @property
    def selected(self) -> str:
        """The selected target; empty if none."""
        return self._state.target_id

    @property
    def order(self) -> tuple[str, ...]:
        """The targets as the table shows them."""
        return self.shown if self._order is None else self._order

    def choices(self, classes: Iterable[str]) -> list[str]:
        """Return what ``only`` may be; what the survey says of targets only where it says it of one."""
        here = set(self.targets)
        kinds = [kind for kind, targets in self._kinds.items() if targets & here]
        return [ALL, UNLABELLED, STARRED, *([YOURS] if self._own else []), *kinds, *map(self._class_choice, classes)]

    def _class_choice(self, name: str) -> str:
        """Return what the filter for a class is called: by its name, unless another filter is."""
        taken = name in (ALL, UNLABELLED, STARRED, YOURS) or name in self._kinds
        return f"{name} (class)" if taken else name

    def bring(self, target_ids: Sequence[str], survey: Survey) -> None:
        """Put what the user brought on top, and nothing else of that; ``survey`` has it."""
        self._survey, self._kinds = survey, _kinds(survey)
        self._own = tuple(target_ids)
        self._arrange()
        self.own = self._own
        if self.selected in survey.candidates and self.selected not in self._own:  # it was taken away
            self.select(self.order[0] if self.order else self.targets[0])

    def sorted_as(self, target_ids: Sequence[str] | None) -> None:
        """Follow the table, whose columns sort; None: no column does."""
        self._order = None if target_ids is None else tuple(target_ids)

    def select(self, target_id: str) -> bool:
        """Select a target; one that is not there is said and changes nothing."""
        if target_id not in self.targets:
            self.words = f"There is no target {target_id[:60]} here"
            return False
        self.words = ""
        self._state.target_id = target_id
        return True

    def move(self, steps: int) -> None:
        """Select the target so many rows further down the table, 1 or -1; the first if none is selected."""
        order = self.order
        if not order:
            self.words = "No target passes the filters"
            return
        if self._state.target_id not in order:
            self.select(order[0])
            return
        place = order.index(self._state.target_id) + steps
        if 0 <= place < len(order):
            self.select(order[place])
        else:
            self.words = "That was the last target" if steps > 0 else "This is the first target"

    def next_unlabelled(self) -> None:
        """Select the next target with neither class nor quality, after the last the first again."""
        order = self.order
        start = order.index(self._state.target_id) + 1 if self._state.target_id in order else 0
        for target in (*order[start:], *order[:start]):
            if target != self._state.target_id and not self._label_of(target).decided:
                self.select(target)
                return
        self.words = "Every target here has a label"

    def neighbours(self, target_id: str) -> list[str]:
        """Return who is likely to be looked at next: two after, one before."""
        order = self.order
        if target_id not in order:
            return list(order[:2])
        place = order.index(target_id)
        return [*order[place + 1 : place + 3], *order[max(0, place - 1) : place]]

    def labelled(self) -> tuple[int, int]:
        """Return how many of the session's targets have a class or a quality, and how many there are."""
        targets = self.targets
        return sum(self._label_of(target).decided for target in targets), len(targets)

    def _arrange(self) -> None:
        targets = [target for target in self.targets if self._passes(target)]
        words = ""
        wanted = self.search.strip()
        place = coordinates_in(wanted)
        if place is not None:
            targets, words = self._near(targets, *place)
        elif wanted:
            targets = [target for target in targets if wanted.casefold() in target.casefold()]
        if wanted and not targets and not words:
            words = f"No target matches {wanted[:40]}"
        if self.unlabelled_first:
            targets.sort(key=lambda target: self._label_of(target).decided)
        self.param.update(shown=tuple(targets), words=words)

    def _passes(self, target: str) -> bool:
        if self.within is not None and target not in self.within.targets:
            return False
        match self.only:
            case "" | "all targets":
                return True
            case "without a label":
                return not self._label_of(target).decided
            case "starred":
                return self._label_of(target).star
            case "your files":
                return target in self._own
        if self.only in self._kinds:
            return target in self._kinds[self.only]
        label_class = self._label_of(target).label_class
        return label_class != "" and self._class_choice(label_class) == self.only

    def _near(self, targets: list[str], ra: float, dec: float) -> tuple[list[str], str]:
        spectra = self._survey.spectra
        distance = separation(spectra.ra, spectra.dec, ra, dec)
        of = dict(zip(spectra.target_id.tolist(), distance.tolist(), strict=True))
        near = [target for target in targets if of.get(target, np.inf) <= _RADIUS]
        if near:
            return sorted(near, key=lambda target: of[target]), ""
        known = [of[target] for target in targets if np.isfinite(of.get(target, np.nan))]
        if not known:
            return [], "None of these targets has coordinates"
        return [], f"Nothing within 1 arcmin; the nearest is {_angle(min(known))} away"


def _kinds(survey: Survey) -> dict[str, frozenset[str]]:
    """Return the targets of which the survey says something that filters, by what the filter is called."""
    spectra = survey.spectra
    reasons = np.full(len(spectra), "") if survey.not_ranked is None else survey.not_ranked
    chosen = {NOT_RANKED: reasons != "", ZWARN: spectra.zwarn > 0}
    for kind in np.unique(spectra.spectype).tolist():
        if kind.upper() not in ("", "GALAXY"):
            chosen[_CLASSES.get(kind.upper(), f"{kind} (survey's class)")] = spectra.spectype == kind
    return {name: frozenset(spectra.target_id[rows].tolist()) for name, rows in chosen.items() if rows.any()}


def coordinates_in(text: str) -> tuple[float, float] | None:
    """Return right ascension and declination, degrees, if that is what somebody typed.

    >>> coordinates_in("150.1 2.2"), coordinates_in("150.1, -2.2")
    ((150.1, 2.2), (150.1, -2.2))
    >>> coordinates_in("10:00:24 +02:12:00"), coordinates_in("39628000000000001")
    ((150.1, 2.2), None)
    """
    if match := _DEGREES.fullmatch(text):
        ra, dec = float(match[1]), float(match[2])
    elif match := _SEXAGESIMAL.fullmatch(text):
        hours, degrees = ([float(part) for part in match.groups()[k : k + 3]] for k in (0, 3))
        ra = 15 * (hours[0] + hours[1] / 60 + hours[2] / 3600)
        dec = abs(degrees[0]) + degrees[1] / 60 + degrees[2] / 3600
        dec = round(-dec if match[4].startswith("-") else dec, 9)
        ra = round(ra, 9)
    else:
        return None
    return (ra, dec) if 0 <= ra <= 360 and -90 <= dec <= 90 else None


def separation(ra: NDArray[np.float64], dec: NDArray[np.float64], at_ra: float, at_dec: float) -> NDArray[np.float64]:
    """Return the angle, (n,) arcsec, between places, (n,) degrees, and one place; NaN where there is none."""
    a, d, a0, d0 = (np.radians(value) for value in (ra, dec, at_ra, at_dec))
    half = np.sin((d - d0) / 2) ** 2 + np.cos(d) * np.cos(d0) * np.sin((a - a0) / 2) ** 2
    apart: NDArray[np.float64] = np.degrees(2 * np.arcsin(np.sqrt(np.clip(half, 0, 1)))) * 3600
    return apart


def _angle(arcsec: float) -> str:
    if arcsec < 90:
        return f"{arcsec:.0f} arcsec"
    return f"{arcsec / 60:.1f} arcmin" if arcsec < 5400 else f"{arcsec / 3600:.1f} deg"
