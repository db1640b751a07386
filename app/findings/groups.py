"""Groups of outliers with the same cause: attribution profiles that lie together, named after what they share."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from app.findings.findings import Finding
from imo_engine.reasons.profiles import BIN_EDGES, FRAMES, profile_distances
from imo_engine.spectra.instrument import INSTRUMENTS
from imo_engine.spectra.landmarks import lines_within, names, place
from imo_engine.spectra.ranges import range_words

__all__ = ["ALIKE", "Group", "find_groups"]

log = logging.getLogger(__name__)

ALIKE = 0.5
"""Largest Hellinger distance between the profiles of any two members of a group."""

_CORE = 0.12  # share of the common profile that a peak holds for the group to be called after it
_BRIDGE = 2  # bins that a peak may cross
_SLACK = 0.0005  # of a wavelength: 150 km/s by which a line may lie outside
_NARROW = 120.0  # Angstrom; a wider range is not called after lines


@dataclass(frozen=True)
class Group:
    """Targets that are odd for the same reason.

    Attributes:
        number: From 1, the largest group first.
        targets: Its members, the most typical first.
        frame: "rest" or "observed": where their profiles were compared.
        low: First wavelength of what they share, vacuum Angstrom in that frame.
        high: Last.
        verdict: What most of them were found to come from: "source", "instrument" or "unclear".
        spread: Mean Hellinger distance between members.
        instrument: Name of what observed them; empty where it is not known, or not the same.
        second: Where else their common profile is highest, as ``low`` and ``high``; None if it is nowhere else.
        apart: What tells the group from others that share and come from the same; empty if there are none.
    """

    number: int
    targets: tuple[str, ...]
    frame: str
    low: float
    high: float
    verdict: str
    spread: float
    instrument: str = ""
    second: tuple[float, float] | None = None
    apart: str = ""

    @property
    def feature(self) -> str:
        """What they share, in words."""
        return self._words(self.low, self.high)

    @property
    def kind(self) -> str:
        """What they share and what made it; groups of one kind are told apart by ``apart``."""
        return f"{self.feature}, {self.verdict}"

    def _words(self, low: float, high: float) -> str:
        span = range_words(low, high)
        if self.frame == "observed":
            part = place(low, high, INSTRUMENTS.get(self.instrument))
            return f"{part} {span}" if part else span
        lines = lines_within(low * (1 - _SLACK), high * (1 + _SLACK))
        span = f"rest {span}"
        return f"{names(lines)}, {span}" if lines and high - low <= _NARROW else span

    @property
    def name(self) -> str:
        """Number, size, what they share, and what made it."""
        apart = f", {self.apart}" if self.apart else ""
        return f"Group {self.number}: {len(self.targets)} targets, {self.feature}{apart}, {self.verdict}"


def find_groups(findings: dict[str, Finding], *, alike: float = ALIKE) -> tuple[Group, ...]:
    """Cluster findings by complete linkage of their profiles, in the frame of each one's cause.

    What looks instrumental is compared in the observed frame, everything else in the rest frame. A target is in one
    group at most; those in which nothing stands out, and those that are like no other, are in none.

    Args:
        findings: By target.
        alike: Largest distance between any two members, 0 to 1.
    """
    found: list[Group] = []
    for frame in FRAMES:
        members = sorted(target for target, one in findings.items() if one.marks and one.frame == frame)
        found += _clusters(members, findings, frame, alike)
    found.sort(key=lambda one: (-len(one.targets), one.spread, one.targets))
    return tuple(replace(one, number=number) for number, one in enumerate(_told_apart(found), start=1))


def _told_apart(groups: Sequence[Group]) -> list[Group]:
    """Say what tells groups of one kind apart: where else they are alike, else their most typical targets."""
    kinds = Counter(one.kind for one in groups)
    also = {one: f"also {one._words(*one.second)}" if one.second else "nothing else" for one in groups}
    often = Counter((one.kind, words) for one, words in also.items())
    return [
        one
        if kinds[one.kind] == 1
        else replace(one, apart=also[one] if often[one.kind, also[one]] == 1 else f"like {one.targets[0]}")
        for one in groups
    ]


def _clusters(members: Sequence[str], findings: dict[str, Finding], frame: str, alike: float) -> list[Group]:
    if len(members) < 2:
        return []
    profiles = np.array([findings[target].profiles[frame] for target in members], float)
    distances = profile_distances(profiles, profiles)
    np.fill_diagonal(distances, 0.0)
    distances = (distances + distances.T) / 2
    number = fcluster(linkage(squareform(distances, checks=False), "complete"), alike, criterion="distance")
    groups = []
    for one in range(1, int(number.max()) + 1):
        inside = np.flatnonzero(number == one)
        if len(inside) < 2:
            continue
        among = distances[np.ix_(inside, inside)]
        typical = inside[np.argsort(among.mean(axis=1), kind="stable")]
        common = profiles[inside].mean(axis=0)
        low, high = _core(common)
        rest = np.where((BIN_EDGES[:-1] < high) & (BIN_EDGES[1:] > low), 0.0, common)
        second = _core(rest) if rest.max() > 0 else None
        verdicts = Counter(findings[members[k]].verdict for k in inside.tolist())
        top, count = verdicts.most_common(1)[0]
        verdict = top if 2 * count > len(inside) else "unclear"
        spread = float(among.sum() / (len(inside) * (len(inside) - 1)))
        instruments = {findings[members[k]].instrument for k in inside.tolist()}
        instrument = instruments.pop() if len(instruments) == 1 else ""
        targets = tuple(members[k] for k in typical.tolist())
        groups.append(Group(0, targets, frame, low, high, verdict, spread, instrument, second))
    return groups


def _core(profile: NDArray[np.float64]) -> tuple[float, float]:
    """Return where a profile, (B,), is concentrated, vacuum Angstrom.

    The surroundings of its highest bin down to a third of that height, if they hold enough of it; else the shortest
    range that holds half.
    """
    total = np.concatenate([[0.0], np.cumsum(profile)])
    above = np.flatnonzero(profile >= profile.max() / 3)
    runs = np.split(above, np.flatnonzero(np.diff(above) > _BRIDGE + 1) + 1)
    peak = next(run for run in runs if run[0] <= profile.argmax() <= run[-1])
    if total[peak[-1] + 1] - total[peak[0]] >= _CORE * total[-1]:
        return float(BIN_EDGES[peak[0]]), float(BIN_EDGES[peak[-1] + 1])
    ends = np.searchsorted(total, total[:-1] + 0.5 * total[-1] - 1e-12)
    starts = np.flatnonzero(ends < len(total))
    best = starts[np.argmin(ends[starts] - starts)]
    return float(BIN_EDGES[best]), float(BIN_EDGES[ends[best]])
