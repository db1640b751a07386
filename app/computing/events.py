"""What a session asks of the engine, and what it hears back while a target is explained."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution.record import RECOMMENDED_WEIGHTING, Attribution, WindowFacts

if TYPE_CHECKING:
    from imo_engine.methods import MethodAttribution
    from imo_engine.repair.regions import Repair

__all__ = [
    "BaselinesReady",
    "Event",
    "Failed",
    "Finished",
    "Listener",
    "MethodFinished",
    "MethodSettings",
    "Progress",
    "Queued",
    "RepairFinished",
    "RepairSettings",
    "Request",
    "Result",
    "Settings",
    "Stopped",
    "WindowReady",
]


@dataclass(frozen=True)
class Settings:
    """How a target is explained.

    Attributes:
        window_sizes: Pixels.
        n_baselines: How many are drawn.
        seed: Of that draw.
        weights: How window sizes are combined, one of :data:`imo_engine.attribution.record.WEIGHTINGS`.
        evaluator: One of :data:`imo_engine.attribution.evaluators.EVALUATORS`; "auto": exact values, where these would
            take minutes quick ones first.
    """

    window_sizes: tuple[int, ...] = (1, 4, 16, 64, 256)
    n_baselines: int = 8
    seed: int = 0
    weights: str = RECOMMENDED_WEIGHTING
    evaluator: str = "exact"

    @property
    def exactly(self) -> "Settings":
        """The same, for exact values; "frozen_statistics" is another quantity and stays."""
        return replace(self, evaluator="exact") if self.evaluator in ("auto", "local_update") else self

    def described(self) -> dict[str, Any]:
        """Return plain values that tell settings apart; exact values are described as before there were others."""
        values = asdict(self)
        if self.evaluator == "exact":
            del values["evaluator"]
        return values


@dataclass(frozen=True)
class MethodSettings:
    """Another method, by its name in :data:`imo_engine.methods.registry.METHODS`, and with which baselines."""

    method: str
    baselines: Settings = Settings()


@dataclass(frozen=True)
class RepairSettings:
    """A repair to a quantile of ordinary spectra, by other baselines than those of the attribution.

    Attributes:
        baselines: How the target is explained.
        quantile: Of the ordinary spectra, whose log p is to be reached.
        known: Returns the attribution if it is still in memory; else it is computed first.
    """

    baselines: Settings = Settings()
    quantile: float = 0.1
    known: Callable[[], Attribution | None] = field(default=lambda: None, compare=False, repr=False)


@dataclass(frozen=True, eq=False)
class Queued:
    """The computation waits for another one to end, or for the disk."""


@dataclass(frozen=True, eq=False)
class BaselinesReady:
    """Aligned baselines, (baseline, pixel), and the pixels that have meaning, (pixel,)."""

    baselines: NDArray[np.float32]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class WindowReady:
    """One window size, and the combination of those finished so far; nats per pixel.

    Attributes:
        window_size: Pixels.
        values: (baseline, pixel).
        combined: (pixel,).
        combined_scatter: (pixel,) over baselines.
        facts: How right the values are.
    """

    window_size: int
    values: NDArray[np.float32]
    combined: NDArray[np.float64]
    combined_scatter: NDArray[np.float64]
    facts: WindowFacts = WindowFacts()


@dataclass(frozen=True)
class Progress:
    """How far the computation is; ``seconds_left`` is None until it can be told, ``window_size`` 0 without windows."""

    done: int
    total: int
    window_size: int
    device: str
    seconds_left: float | None


@dataclass(frozen=True, eq=False)
class Finished:
    """Everything is computed."""

    attribution: Attribution


@dataclass(frozen=True, eq=False)
class MethodFinished:
    """One of the other methods is done."""

    record: "MethodAttribution"


@dataclass(frozen=True, eq=False)
class RepairFinished:
    """A repair is done."""

    repair: "Repair"


@dataclass(frozen=True)
class Failed:
    """It cannot be computed, in words."""

    message: str


@dataclass(frozen=True)
class Stopped:
    """The user stopped it; what was computed remains."""


Request = Settings | MethodSettings | RepairSettings
"""What can be asked for."""

Result = Finished | MethodFinished | RepairFinished
"""What comes of it."""

Event = Queued | BaselinesReady | WindowReady | Progress | Finished | MethodFinished | RepairFinished | Failed | Stopped
Listener = Callable[[Event], None]
