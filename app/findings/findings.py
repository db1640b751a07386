"""What the process remembers of every target that was explained: a few words, and its profile for comparison."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.labels.news import News
from imo_engine.attribution.record import Attribution
from imo_engine.reasons.features import Feature
from imo_engine.reasons.profiles import FRAMES, attribution_profile

__all__ = ["Finding", "Findings", "Mark"]


@dataclass(frozen=True)
class Mark:
    """Where something stands out: first and last observed wavelength, vacuum Angstrom, and what it may come from."""

    low: float
    high: float
    verdict: str


@dataclass(frozen=True, eq=False)
class Finding:
    """What is kept of one attribution.

    Attributes:
        brief: What stands out most, in a few words.
        marks: Where, the strongest first; none if nothing stands out.
        profiles: (B,) by frame, see :mod:`imo_engine.reasons.profiles`.
        instrument: Name of what observed it; empty where the file does not say.
        p_value: Of what stands out most; None if nothing does, or it is not known.
    """

    brief: str
    marks: tuple[Mark, ...]
    profiles: dict[str, NDArray[np.float32]]
    instrument: str = ""
    p_value: float | None = None

    @classmethod
    def of(cls, attribution: Attribution, features: Sequence[Feature], brief: str, instrument: str = "") -> "Finding":
        """Gather it."""
        marks = tuple(Mark(*feature.observed, feature.verdict) for feature in features)
        profiles = {frame: attribution_profile(attribution, frame) for frame in FRAMES}
        return cls(brief, marks, profiles, instrument, features[0].p_value if features else None)

    @property
    def verdict(self) -> str:
        """Of what stands out most: "instrument", "source" or "unclear"; empty if nothing does."""
        return self.marks[0].verdict if self.marks else ""

    @property
    def frame(self) -> str:
        """In which frame others with the same cause look alike: "observed" for what the instrument made."""
        return "observed" if self.verdict == "instrument" else "rest"


class Findings:
    """Findings by target; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Finding] = {}
        self._news: News[Sequence[str]] = News()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, target_id: str) -> Finding | None:
        """Return what is known of a target."""
        return self._known.get(target_id)

    def all(self) -> dict[str, Finding]:
        """Return everything that is known now."""
        with self._lock:
            return dict(self._known)

    def learn(self, found: dict[str, Finding]) -> None:
        """Remember findings and tell all who listen, in the thread that calls."""
        if not found:
            return
        with self._lock:
            self._known.update(found)
        self._news.tell(tuple(found))

    def listen(self, listener: Callable[[Sequence[str]], object]) -> Callable[[], None]:
        """Call ``listener`` with the targets of every finding, from any thread; return what ends that."""
        return self._news.listen(listener)
