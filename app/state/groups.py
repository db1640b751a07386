"""Groups of one session: worked out in the background. Needs no browser."""

import threading
from collections.abc import Callable

import param

from app.findings.findings import Findings
from app.findings.groups import Group, find_groups
from app.state.background import Background, Schedule, Submit

__all__ = ["CauseGroups"]


class CauseGroups(param.Parameterized):
    """The groups among what a session may see, found again in the background whenever something is learned."""

    groups = param.Parameter(default=(), doc="The largest first.")

    def __init__(
        self,
        findings: Findings,
        targets: Callable[[], tuple[str, ...]],
        *,
        submit: Submit,
        schedule: Schedule,
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
        self._background = Background(submit, schedule)
        self._lock = threading.Lock()
        self._looking = self._closed = False
        self._looks = self._shown = 0
        self.known = 0

    def learned(self) -> None:
        """Look for groups again; calls that come while that is under way count as one."""
        with self._lock:
            begin, self._looking = not self._looking and not self._closed, True
        if begin:
            targets = frozenset(self._targets())
            self._background.run(lambda: self._look(targets), self._show, about="looking for groups")

    def of(self, target_id: str) -> Group | None:
        """Return the group that a target is in."""
        return next((one for one in self.groups if target_id in one.targets), None)

    def numbered(self, number: str) -> Group | None:
        """Return a group by its number, as text."""
        return next((one for one in self.groups if str(one.number) == number), None)

    def close(self) -> None:
        """Look for nothing any more; the session has ended."""
        self._closed = True
        self._background.renew()

    def _look(self, targets: frozenset[str]) -> tuple[int, int, tuple[Group, ...]]:
        """Return the number of this look, how many targets are explained, and their groups, in the other thread."""
        with self._lock:
            self._looking = False
            self._looks += 1
            look = self._looks
        known = {name: one for name, one in self._findings.all().items() if name in targets}
        return look, len(known), find_groups(known)

    def _show(self, found: tuple[int, int, tuple[Group, ...]]) -> None:
        look, known, groups = found
        if look > self._shown:  # one that began earlier may end later
            self._shown, self.known, self.groups = look, known, groups
