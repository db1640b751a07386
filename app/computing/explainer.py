"""Explain targets in the background: one bounded queue a process, shared by all browser sessions.

Worker threads, one a device, compute arrays only. What it finds reaches a session as events, in order; a session that
asks for another target lets go of the first, and a computation that nobody waits for any more stops within
one batch. Finished attributions are kept in memory and, if there is a cache, on disk, so going back to a
target costs nothing. Sessions are served in turn; when nobody waits, targets that may be asked for next are
computed ahead.
"""

import itertools
import logging
import threading
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from app.computing.computation import Inputs, answer
from app.computing.events import (
    Event,
    Failed,
    Finished,
    Listener,
    Progress,
    Queued,
    Request,
    Result,
    Settings,
    Stopped,
)
from app.computing.fair_queue import FairQueue
from app.computing.jobs import Claim, Job, Key, Ticket
from app.computing.recent_results import RecentResults
from app.computing.result_cache import AttributionStore
from app.survey.survey import Survey
from imo_engine.attribution.record import Attribution
from imo_engine.errors import Cancelled, ImoError

__all__ = ["Explainer", "Settings", "Ticket"]

log = logging.getLogger(__name__)


class Explainer:
    """Queue of computations for one survey, one on each of its engine's devices at a time; safe to use from any thread.

    Listeners are called from the threads of the queue, or within :meth:`request` for what is known already;
    they must be quick. What one of them raises is logged and does not reach the others.
    """

    def __init__(
        self,
        survey: Survey,
        *,
        keep: int = 64,
        cache: AttributionStore | None = None,
        on_ahead: Callable[[str, Attribution], object] = lambda target_id, attribution: None,
    ) -> None:
        """Start with an empty queue.

        Args:
            survey: Whose targets are explained.
            keep: How many finished attributions stay in memory (about 3 MB each).
            cache: Where they stay longer; by default nowhere.
            on_ahead: Told, in the queue's thread, of a target that was computed before anybody asked.
        """
        self.survey = survey
        self.on_ahead = on_ahead
        self._cache = cache
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._jobs: dict[Key, Job] = {}
        self._turns = FairQueue[Job]()
        self._ahead = FairQueue[Key]()
        self._known = RecentResults(keep)
        self._devices = list(survey.engine.devices)  # those that are idle
        self._worker = ThreadPoolExecutor(max_workers=len(self._devices), thread_name_prefix="imo-engine")
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="imo-cache")

    def request(
        self,
        target_id: str,
        listener: Listener,
        settings: Request | None = None,
        *,
        session: Hashable | None = None,
        alive: Callable[[], bool] = lambda: True,
        patient: bool = False,
    ) -> Ticket:
        """Ask for an attribution, which comes from memory, from disk, or is computed.

        Args:
            target_id: Which target.
            listener: Receives what is known at once, and the rest as it comes.
            settings: How to explain it; by inverse occlusion, by another method, or by repairing it.
            session: Who asks. Sessions are served in turn, and each one's newest request first; by default
                every request counts as a session of its own.
            alive: Tells whether somebody still looks. A computation that nobody looks at gives way when
                another one waits (a browser that was closed is noticed only after a while).
            patient: Whether to wait until :meth:`anticipate`, called before, has named it and its turn has come. Then
                it gives way to every other request, and begins anew.
        """
        key = (target_id, settings or Settings())
        ticket = Ticket(next(self._numbers), key)
        claim = Claim(ticket if session is None else session, listener, alive, patient)
        with self._lock:
            if (known := self._known.get(key)) is not None:
                listener(known)
                return ticket
            job = self._jobs.get(key)
            if job is None or (job.stop.is_set() and not (patient and job.interrupted)):
                on_disk = self._cache is not None and isinstance(key[1], Settings) and not patient
                job = Job(key, waiting=not on_disk, patient=patient, events=[Queued()])
                self._jobs[key] = job
                if on_disk:
                    self._disk.submit(self._look_up, job)
            for event in job.events:
                listener(event)
            job.claims[ticket.number] = claim
            if job.waiting and not patient:
                job.patient = False
                self._turns.add(claim.session, job)
                self._worker.submit(self._serve)
        return ticket

    def release(self, ticket: Ticket) -> None:
        """Give up a claim; nothing more is sent, and a computation nobody waits for stops."""
        with self._lock:
            job = self._jobs.get(ticket.key)
            claim = None if job is None else job.claims.pop(ticket.number, None)
            if job is None or claim is None:
                return
            self._turns.remove(claim.session, job)
            if claim.patient:
                self._ahead.remove(claim.session, job.key)
            if not job.claims and (job.ahead_for is None or claim.patient):
                job.stop.set()
                job.interrupted = False
                if job.waiting:
                    del self._jobs[job.key]

    def cancel(self, ticket: Ticket) -> None:
        """Give up a claim and tell its listener that it was stopped."""
        with self._lock:
            job = self._jobs.get(ticket.key)
            claim = None if job is None else job.claims.get(ticket.number)
            self.release(ticket)
            if claim is not None:
                claim.listener(Stopped())

    def anticipate(
        self,
        targets: Iterable[str | tuple[str, Settings]],
        settings: Settings | None = None,
        *,
        session: Hashable = "anybody",
    ) -> None:
        """Compute targets while nobody waits, in the order given, in place of what ``session`` named before.

        A target may come with settings of its own.

        A request interrupts this within one batch; the interrupted target begins anew when the queue is
        empty again. A request for the target that is being computed joins it. Failures are left for the
        request to tell.
        """
        keys: list[Key] = [(one, settings or Settings()) if isinstance(one, str) else one for one in targets]
        with self._lock:
            self._ahead.drop(session)
            for key in reversed(keys):
                self._ahead.add(session, key)
                self._worker.submit(self._serve)
            for job in self._jobs.values():
                if job.ahead_for == session and not job.claims and job.key not in keys:
                    job.stop.set()
                    job.interrupted = False  # it is not to be resumed

    def close(self) -> None:
        """Stop everything; used at the end of the process and in tests."""
        with self._lock:
            for job in self._jobs.values():
                job.stop.set()
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._disk.shutdown(wait=True)  # what is finished is still written

    def _send(self, job: Job, event: Event) -> None:
        with self._lock:
            if not isinstance(event, Progress):
                job.events.append(event)
            for claim in list(job.claims.values()):
                try:
                    claim.listener(event)
                except Exception:  # one broken session must not stop the others, nor leave the job unfinished
                    log.exception("telling a session about target %s failed", job.key[0])

    def _end(self, job: Job, event: Event) -> None:
        with self._lock:
            if isinstance(event, Result):
                self._known.put(job.key, event)
            self._send(job, event)
            if self._jobs.get(job.key) is job:
                del self._jobs[job.key]

    def _look_up(self, job: Job) -> None:
        found = None if job.stop.is_set() else self._on_disk(job)
        with self._lock:
            if job.stop.is_set():
                self._end(job, Stopped())
            elif found is not None:
                self._end(job, Finished(found))
            else:
                job.waiting = True
                for claim in job.claims.values():
                    self._turns.add(claim.session, job)
                self._worker.submit(self._serve)

    def _tell_ahead(self, job: Job, attribution: Attribution) -> None:
        try:
            self.on_ahead(job.key[0], attribution)
        except Exception:  # what others make of it must not stop the queue
            log.exception("what was computed ahead for target %s", job.key[0])

    def _on_disk(self, job: Job) -> Attribution | None:
        target_id, settings = job.key
        if self._cache is None or not isinstance(settings, Settings):
            return None
        try:
            inputs = Inputs.of(self.survey, target_id, settings)
            job.disk_key, exact = inputs.digest(), inputs.exactly.digest()
            found = self._cache.get(exact)
            return self._cache.get(job.disk_key) if found is None and exact != job.disk_key else found
        except ImoError:
            return None  # the computation will say what is wrong
        except Exception:
            log.exception("looking for target %s on disk failed", job.key[0])
            return None

    def _serve(self) -> None:
        """Do what comes next; called once for everything that was put into a queue."""
        with self._lock:
            turn = self._turns.take()
            job = self._next_ahead() if turn is None else turn[1]
            if job is None:
                return
            job.waiting = False
            device = self._devices.pop()  # there are no more threads than devices
        try:
            self._work(job, device)
        finally:
            with self._lock:
                self._devices.append(device)

    def _next_ahead(self) -> Job | None:
        while turn := self._ahead.take():
            session, key = turn
            job = self._jobs.get(key)
            if key not in self._known and (job is None or job.patient):
                if job is None:
                    job = self._jobs[key] = Job(key, events=[Queued()])
                job.ahead_for, job.patient = session, False
                return job
        return None

    def _should_stop(self, job: Job) -> bool:
        with self._lock:
            claims = [claim for claim in job.claims.values() if not claim.patient]
            if not job.stop.is_set() and len(self._turns) and not any(claim.alive() for claim in claims):
                job.stop.set()
                job.interrupted = not claims
            return job.stop.is_set()

    def _work(self, job: Job, device: str | None) -> None:
        try:
            if self._should_stop(job):
                raise Cancelled("nobody waits for it")
            known = self._on_disk(job) if job.ahead_for is not None else None
            send, should_stop = partial(self._send, job), partial(self._should_stop, job)
            result = answer(self.survey, *job.key, send, should_stop, device) if known is None else Finished(known)
        except Cancelled:
            with self._lock:
                owners = {job.ahead_for, *(claim.session for claim in job.claims.values())} if job.interrupted else ()
                if job.interrupted and job.claims:
                    job.put_off()
                else:
                    self._end(job, Stopped())
                for owner in owners:
                    self._ahead.add(owner, job.key)
                    self._worker.submit(self._serve)
        except ImoError as error:
            self._end(job, Failed(str(error)))
        except Exception as error:
            log.exception("explaining target %s failed", job.key[0])
            self._end(job, Failed(f"unexpected {type(error).__name__}: {error}"))
        else:
            unheard = not job.claims
            self._end(job, result)
            if isinstance(result, Finished):
                if unheard:
                    self._tell_ahead(job, result.attribution)
                if known is None and self._cache is not None and job.disk_key is not None:
                    self._disk.submit(self._cache.put, job.disk_key, result.attribution)
