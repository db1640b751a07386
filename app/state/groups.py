"""Groups of one session: worked out in the background. Needs no browser."""

import logging
import threading
from collections.abc import Callable

import param

from app.findings.findings import Findings
from app.findings.groups import Group, find_groups

__all__ = ["GroupDesk"]


log = logging.getLogger(__name__)


class GroupDesk(param.Parameterized):
    """The groups among what a session may see, found again in the background whenever something is learned."""

    groups = param.Parameter(default=(), doc="The largest first.")

    def __init__(
        self,
        findings: Findings,
        targets: Callable[[], tuple[str, ...]],
        *,
        submit: Callable[[Callable[[], None]], object],
        schedule: Callable[[Callable[[], None]], object],
    ) -> None:
        """Start with none.

        Args:
            findings: Of all targets that are explained.
            targets: Those that this session may see.
            submit: Runs a function in another thread.
            schedule: Runs a function soon where the page may be changed; called from that thread.
        """
        super().__init__()
        self._findings, self._targets = findings, targets
        self._submit, self._schedule = submit, schedule
        self._lock = threading.Lock()
        self._stale = self._closed = False
        self._turn = self._shown = 0
        self.known = 0

    def learned(self) -> None:
        """Look for groups again; calls that come while that is under way count as one."""
        with self._lock:
            begin, self._stale = not self._stale and not self._closed, True
        if begin:
            targets = frozenset(self._targets())
            self._submit(lambda: self._work(targets))

    def of(self, target_id: str) -> Group | None:
        """Return the group that a target is in."""
        return next((one for one in self.groups if target_id in one.targets), None)

    def numbered(self, number: str) -> Group | None:
        """Return a group by its number, as text."""
        return next((one for one in self.groups if str(one.number) == number), None)

    def close(self) -> None:
        """Look for nothing any more; the session has ended."""
        self._closed = True

    def _work(self, targets: frozenset[str]) -> None:
        with self._lock:
            self._stale = False
            self._turn += 1
            turn = self._turn
        known = {name: one for name, one in self._findings.all().items() if name in targets}
        try:
            groups = find_groups(known)
        except Exception:
            log.exception("grouping %d targets", len(known))
            return

        def show() -> None:
            if not self._closed and turn > self._shown:  # one that began earlier may end later
                self._shown = turn
                self.known = len(known)
                self.groups = groups

        self._schedule(show)
