"""A dialog that is made when it is first opened: most pages never show most of theirs."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import panel as pn

__all__ = ["Dialog", "OnDemand"]


class Dialog(Protocol):
    """What can be opened over the page."""

    def open(self) -> None:
        """Show it."""
        ...

    def __panel__(self) -> pn.viewable.Viewable: ...


D = TypeVar("D", bound=Dialog)


class OnDemand(pn.viewable.Viewer, Generic[D]):
    """Stands where a dialog will be.

    Attributes:
        made: The dialog, once it was asked for.
    """

    def __init__(self, make: Callable[[], D]) -> None:
        """Make nothing yet; ``make`` is called once, where the page may be changed."""
        super().__init__()
        self._make = make
        self.made: D | None = None
        self._place = pn.Column(width=0, height=0, margin=0)

    def open(self) -> None:
        """Show the dialog."""
        if self.made is not None:
            self.made.open()
            return
        self.made = self._make()
        self.made.open()  # first: it comes open, for what changes while it is being drawn would stay as it was
        self._place.append(self.made.__panel__())

    def __panel__(self) -> pn.viewable.Viewable:
        return self._place
