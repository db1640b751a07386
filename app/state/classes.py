"""Editing the list of classes from one session. Needs no browser."""

from collections.abc import Callable
from functools import partial

import param

from app.labels import LabelClass, LabelStore
from app.state.background import Background, Schedule, Submit
from imo_engine.errors import ImoError

__all__ = ["ClassEditing"]


class ClassEditing(param.Parameterized):
    """Adds, renames and retires classes one after the other, where the page does not wait; refusals are words."""

    classes = param.Parameter(default=(), doc="All classes, those in the list first, then the retired ones.")
    words = param.String(default="", doc="What became of the last change.")
    failed = param.Boolean(default=False, doc="Whether it was refused.")

    def __init__(
        self, store: LabelStore, *, submit: Submit, schedule: Schedule, edited: Callable[[], None] = lambda: None
    ) -> None:
        """Start without having read anything; see :meth:`read`.

        Args:
            store: Whose list of classes.
            submit: Runs a function in another thread, in order.
            schedule: Runs a function soon where the page may be changed; called from that thread.
            edited: Called there after every change.
        """
        super().__init__()
        self._store, self._background, self._edited = store, Background(submit, schedule), edited

    def read(self) -> None:
        """Read the list; others may have edited it."""
        self._do("", lambda: None)

    def add(self, name: str, description: str = "") -> None:
        """Add a class, or bring back a retired one."""
        name, description = name.strip(), description.strip()
        self._do(f"added {name!r:.60}", partial(self._store.classes.add, name, description))

    def rename(self, name: str, new_name: str) -> None:
        """Rename a class, in all labels too."""
        new_name = new_name.strip()
        done = f"renamed {name!r:.60} to {new_name!r:.60}, in all labels too"
        self._do(done, partial(self._store.classes.rename, name, new_name))

    def retire(self, name: str) -> None:
        """Take a class off the list; labels keep it."""
        self._do(f"retired {name!r:.60}; labels keep it", partial(self._store.classes.remove, name))

    def _do(self, done: str, change: Callable[[], None]) -> None:
        def work() -> tuple[LabelClass, ...]:
            change()
            return self._store.classes.all()

        self._background.run(work, partial(self._done, done), self._refused, about="editing the classes")

    def _done(self, words: str, classes: tuple[LabelClass, ...]) -> None:
        self.param.update(words=words, failed=False, classes=classes)
        if words:
            try:
                self._edited()
            except ImoError as error:
                self._refused(str(error))

    def _refused(self, words: str) -> None:
        self.param.update(words=words, failed=True)
