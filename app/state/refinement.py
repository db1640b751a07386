"""Quick values are replaced by exact ones, window by window, when the engine has nothing else to do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from app.computing.events import Event, Failed, Finished, Progress, Settings, Stopped, WindowReady
from app.state.background import Claim
from imo_engine.attribution.record import Attribution

__all__ = ["Refined", "Refinement"]


Ending = Literal["", "exact", "stopped", "failed"]


@dataclass(frozen=True, eq=False)
class Refined:
    """How far it has come.

    Attributes:
        attribution: Exact in the window sizes that are done, quick in the others.
        window_size: The one that was replaced just now; None if none was.
        progress: Within the exact computation, if it is running.
        ended: How it ended: "exact", "stopped" or "failed"; empty while it goes on.
        message: Why it failed.
    """

    attribution: Attribution
    window_size: int | None = None
    progress: Progress | None = None
    ended: Ending = ""
    message: str = ""


class Refinement:
    """One session's wish for exact values of the target that it shows."""

    def __init__(self, claim: Claim, tell: Callable[[Refined], None]) -> None:
        """Wish for nothing.

        Args:
            claim: The session's place in the queue for this.
            tell: Called where the session may be changed, with what is new.
        """
        self._claim, self._tell = claim, tell
        self._refined: Attribution | None = None

    @property
    def running(self) -> bool:
        """Whether exact values are still to come."""
        return self._claim.held

    def begin(self, target_id: str, attribution: Attribution, settings: Settings) -> None:
        """Wish for exact values in place of ``attribution``, which the explainer has been told to compute when idle."""
        self._refined = attribution
        self._claim.ask(target_id, settings.exactly, self._hear, patient=True)

    def stop(self) -> None:
        """Do without; what is exact already stays."""
        self._claim.cancel()

    def leave(self) -> None:
        """Hear no more of it; another target was selected, or the session has ended."""
        self._claim.release()

    def _hear(self, event: Event) -> None:
        known = self._refined
        if known is None:
            return
        match event:
            case WindowReady():
                self._refined = known.with_window(event.window_size, event.values, event.facts)
                self._tell(Refined(self._refined, window_size=event.window_size))
            case Progress():
                self._tell(Refined(known, progress=event))
            case Finished(attribution):
                self._end(Refined(attribution, ended="exact"))
            case Failed(message):
                self._end(Refined(known, ended="failed", message=message))
            case Stopped():
                self._end(Refined(known, ended="stopped"))

    def _end(self, last: Refined) -> None:
        self._claim.end()
        self._tell(last)
