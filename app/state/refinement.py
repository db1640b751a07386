"""Quick values are replaced by exact ones, window by window, when the engine has nothing else to do."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from app.computing.events import Event, Failed, Finished, Progress, Settings, Stopped, WindowReady
from app.computing.explainer import Explainer, Ticket
from imo_engine.attribution.record import Attribution

__all__ = ["Refined", "Refinement"]


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
    ended: str = ""
    message: str = ""


class Refinement:
    """One session's wish for exact values of the target that it shows."""

    def __init__(
        self,
        explainer: Explainer,
        schedule: Callable[[Callable[[], None]], object],
        tell: Callable[[Refined], None],
        *,
        alive: Callable[[], bool],
    ) -> None:
        """Wish for nothing.

        Args:
            explainer: The process's queue.
            schedule: Runs a function soon where the document may be changed; called from any thread.
            tell: Called there with what is new.
            alive: Whether a browser is connected.
        """
        self._explainer, self._schedule, self._tell, self._alive = explainer, schedule, tell, alive
        self._generation = 0
        self._ticket: Ticket | None = None
        self._refined: Attribution | None = None

    @property
    def running(self) -> bool:
        """Whether exact values are still to come."""
        return self._ticket is not None

    def begin(self, target_id: str, attribution: Attribution, settings: Settings, session: str) -> None:
        """Wish for exact values in place of ``attribution``, which the explainer has been told to compute when idle."""
        self.leave()
        self._refined = attribution
        generation = self._generation

        def listener(event: Event) -> None:
            self._schedule(partial(self._apply, generation, event))

        self._ticket = self._explainer.request(
            target_id, listener, settings.exactly, session=session, alive=self._alive, patient=True
        )

    def stop(self) -> None:
        """Do without; what is exact already stays."""
        if self._ticket is not None:
            self._explainer.cancel(self._ticket)

    def leave(self) -> None:
        """Hear no more of it; another target was selected, or the session has ended."""
        self._generation += 1
        if self._ticket is not None:
            self._explainer.release(self._ticket)
            self._ticket = None

    def _apply(self, generation: int, event: Event) -> None:
        known = self._refined
        if generation != self._generation or known is None:
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
        self._generation += 1
        self._ticket = None
        self._tell(last)
