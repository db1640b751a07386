"""Explain targets in the background: one bounded queue a process, shared by all browser sessions.

A worker thread computes arrays only. What it finds reaches a session as events, in order; a session that
asks for another target lets go of the first, and a computation that nobody waits for any more stops within
one batch. Finished attributions are kept, so going back to a target costs nothing.
"""

import itertools
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.survey import Survey
from imo_engine.attribution import Attribution, combination_weights, combine
from imo_engine.errors import Cancelled, ImoError

__all__ = [
    "BaselinesReady",
    "Event",
    "Explainer",
    "Failed",
    "Finished",
    "Progress",
    "Queued",
    "Settings",
    "Stopped",
    "Ticket",
    "WindowReady",
]

log = logging.getLogger(__name__)

_PROGRESS_INTERVAL = 0.25  # seconds; a bar that moves four times a second looks alive and costs nothing


@dataclass(frozen=True)
class Settings:
    """How a target is explained."""

    window_sizes: tuple[int, ...] = (1, 4, 16, 64, 256)
    n_baselines: int = 8
    seed: int = 0
    weights: str = "inverse_variance"


@dataclass(frozen=True, eq=False)
class Queued:
    """The computation waits for another one to end."""


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
    """

    window_size: int
    values: NDArray[np.float32]
    combined: NDArray[np.float64]
    combined_scatter: NDArray[np.float64]


@dataclass(frozen=True)
class Progress:
    """How far the computation is; ``seconds_left`` is None until it can be told."""

    done: int
    total: int
    window_size: int
    device: str
    seconds_left: float | None


@dataclass(frozen=True, eq=False)
class Finished:
    """Everything is computed."""

    attribution: Attribution


@dataclass(frozen=True)
class Failed:
    """It cannot be computed, in words."""

    message: str


@dataclass(frozen=True)
class Stopped:
    """The user stopped it; what was computed remains."""


Event = Queued | BaselinesReady | WindowReady | Progress | Finished | Failed | Stopped
Listener = Callable[[Event], None]
_Key = tuple[str, Settings]


@dataclass(eq=False)
class _Job:
    key: _Key
    stop: threading.Event = field(default_factory=threading.Event)
    listeners: dict[int, Listener] = field(default_factory=dict)
    alive: dict[int, Callable[[], bool]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)  # what a late listener has missed, progress excepted


@dataclass(frozen=True)
class Ticket:
    """A session's claim on a computation."""

    number: int
    key: _Key


class Explainer:
    """Queue of computations for one survey; safe to use from any thread.

    Listeners are called from the worker thread, or within :meth:`request` for what is known already; they
    must be quick. What one of them raises is logged and does not reach the others.
    """

    def __init__(self, survey: Survey, *, keep: int = 64) -> None:
        """Start with an empty queue; ``keep`` finished attributions stay in memory (about 3 MB each)."""
        self.survey = survey
        self._keep = keep
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._jobs: dict[_Key, _Job] = {}
        self._finished: OrderedDict[_Key, Attribution] = OrderedDict()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="imo-engine")

    def request(
        self,
        target_id: str,
        listener: Listener,
        settings: Settings | None = None,
        *,
        alive: Callable[[], bool] = lambda: True,
    ) -> Ticket:
        """Ask for an attribution.

        Args:
            target_id: Which target.
            listener: Receives what is known at once, and the rest as it comes.
            settings: How to explain it.
            alive: Tells whether somebody still looks. A computation that nobody looks at gives way when
                another one waits (a browser that was closed is noticed only after a while).
        """
        key = (target_id, settings or Settings())
        ticket = Ticket(next(self._numbers), key)
        with self._lock:
            known = self._finished.get(key)
            if known is not None:
                self._finished.move_to_end(key)
                listener(Finished(known))
                return ticket
            job = self._jobs.get(key)
            if job is None or job.stop.is_set():
                job = _Job(key)
                self._jobs[key] = job
                job.events.append(Queued())
                self._executor.submit(self._work, job)
            for event in job.events:
                listener(event)
            job.listeners[ticket.number] = listener
            job.alive[ticket.number] = alive
        return ticket

    def release(self, ticket: Ticket) -> None:
        """Give up a claim; nothing more is sent, and a computation nobody waits for stops."""
        with self._lock:
            job = self._jobs.get(ticket.key)
            if job is None or job.listeners.pop(ticket.number, None) is None:
                return
            del job.alive[ticket.number]
            if not job.listeners:
                job.stop.set()

    def cancel(self, ticket: Ticket) -> None:
        """Give up a claim and tell its listener that it was stopped."""
        with self._lock:
            job = self._jobs.get(ticket.key)
            listener = None if job is None else job.listeners.get(ticket.number)
            self.release(ticket)
            if listener is not None:
                listener(Stopped())

    def close(self) -> None:
        """Stop everything; used at the end of the process and in tests."""
        with self._lock:
            for job in self._jobs.values():
                job.stop.set()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _send(self, job: _Job, event: Event) -> None:
        with self._lock:
            if not isinstance(event, Progress):
                job.events.append(event)
            for listener in list(job.listeners.values()):
                try:
                    listener(event)
                except Exception:  # one broken session must not stop the others, nor leave the job unfinished
                    log.exception("telling a session about target %s failed", job.key[0])

    def _should_stop(self, job: _Job) -> bool:
        if job.stop.is_set():
            return True
        with self._lock:
            others_wait = any(other is not job and other.listeners for other in self._jobs.values())
            return others_wait and not any(looks() for looks in job.alive.values())

    def _work(self, job: _Job) -> None:
        try:
            if self._should_stop(job):
                raise Cancelled("nobody waits for it")
            attribution = self._explain(job)
        except Cancelled:
            self._end(job, Stopped())
        except ImoError as error:
            self._end(job, Failed(str(error)))
        except Exception as error:
            log.exception("explaining target %s failed", job.key[0])
            self._end(job, Failed(f"unexpected {type(error).__name__}: {error}"))
        else:
            with self._lock:
                self._finished[job.key] = attribution
                while len(self._finished) > self._keep:
                    self._finished.popitem(last=False)
            self._end(job, Finished(attribution))

    def _end(self, job: _Job, event: Event) -> None:
        with self._lock:
            self._send(job, event)
            if self._jobs.get(job.key) is job:
                del self._jobs[job.key]

    def _explain(self, job: _Job) -> Attribution:
        from imo_engine.occlusion import WindowResult, inverse_multiscale_occlusion

        target_id, settings = job.key
        target = self.survey.spectra[[self.survey.spectra.row(target_id)]]
        if target.problem[0]:
            raise ImoError(f"target {target_id} has no score: {target.problem[0]}")
        model, pool = self.survey.engine.get()
        began = last = time.monotonic()
        waiting = sorted(settings.window_sizes)
        finished: list[NDArray[np.float64]] = []

        def on_window(result: WindowResult) -> None:
            waiting.remove(result.window_size)
            finished.append(result.values)
            values = np.stack(finished)
            weights = combination_weights(values.mean(axis=1), values.var(axis=1), settings.weights)
            self._send(
                job, WindowReady(result.window_size, result.values.astype(np.float32), *combine(values, weights))
            )

        def on_progress(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= _PROGRESS_INTERVAL or done == total:
                last = now
                left = (now - began) / done * (total - done) if done > 50 else None
                size = waiting[-1] if waiting else settings.window_sizes[0]
                self._send(job, Progress(done, total, size, model.device_name, left))

        return inverse_multiscale_occlusion(
            model,
            model.prepare(target)[0],
            float(target.redshift[0]),
            pool.draw(min(settings.n_baselines, len(pool)), seed=settings.seed),
            settings.window_sizes,
            weights=settings.weights,
            valid=target.measured[0],
            on_baselines=lambda baselines, valid: self._send(job, BaselinesReady(baselines, valid)),
            on_window=on_window,
            on_progress=on_progress,
            should_stop=lambda: self._should_stop(job),
        )
