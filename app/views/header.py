"""The buttons in the page's header: plain HTML that tells what was pressed, kept in step with the session's choices."""

from collections.abc import Callable
from typing import Any

import panel as pn
from bokeh.models import ColumnDataSource, CustomJS, Model

from app.browser.channel import Channel
from app.browser.page_turns import in_turn
from app.html.header import HEADER_STYLE, SWITCHES, header_html
from app.state.choices import Choices

__all__ = ["Header"]


class Header(pn.viewable.Viewer):
    """Writes the switches among the choices; its HTML stays as it is, so that the focus does."""

    def __init__(
        self,
        choices: Choices,
        actions: dict[str, Callable[[], None]],
        schedule: Callable[[Callable[[], None]], object],
        *,
        simulated: bool,
        truth: bool,
    ) -> None:
        """Build the header.

        Args:
            choices: Its switches are written and followed.
            actions: What a button does, by its label.
            schedule: Runs a function soon where the page may be changed.
            simulated: Whether to say that the data are simulated.
            truth: Whether it is known what was injected.
        """
        super().__init__()
        self._choices, self._actions, self._schedule = choices, actions, schedule
        self._busy = ""
        self._on = ColumnDataSource(self._columns())
        self.pane = pn.pane.HTML(
            header_html(self._names(), simulated=simulated, truth=truth),
            sizing_mode="stretch_width",
            stylesheets=[HEADER_STYLE],
            margin=0,
        )

    def attach(self, document: Any, anchor: Model, channel: Channel) -> None:  # noqa: ANN401 - bokeh.document.Document
        """Hear what is pressed, and let the browser show which switches are on; ``anchor`` is any model of the page."""

        def act(do: Callable[[str], None]) -> Callable[[str], None]:
            def heard(word: str) -> None:
                with in_turn(document):
                    do(word)

            return heard

        anchor.js_on_change("name", CustomJS(args={"on": self._on}, code=""))  # named by a model, it is the document's
        self._on.js_on_change("data", CustomJS(code="window.imo?.explorer?.switched(cb_obj.data.on, cb_obj.data.busy)"))
        channel.on_word("header", act(self._press))
        channel.on_word("switch", act(self._switch))
        self._choices.param.watch(lambda *_: self._show(), list(SWITCHES))

    def _press(self, word: str) -> None:
        if word in self._actions:
            self._actions[word]()

    def _switch(self, name: str) -> None:
        if name in SWITCHES:
            self._choices.toggle(name)

    def busy(self, words: str) -> None:
        """Say what is being done with spectra that were added, or nothing."""
        self._busy = words
        self._show()

    def _show(self) -> None:
        def now() -> None:
            self._on.data = self._columns()

        self._schedule(now)

    def _columns(self) -> dict[str, Any]:
        return {"on": [self._names()], "busy": [self._busy]}

    def _names(self) -> list[str]:
        return [name for name in SWITCHES if getattr(self._choices, name)]

    def __panel__(self) -> pn.viewable.Viewable:
        return self.pane
