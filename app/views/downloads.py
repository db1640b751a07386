"""Buttons for files that are made when they are asked for; what cannot be made is said beside them."""

import io
import logging
from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from imo_engine.errors import ImoError

__all__ = ["DownloadButton", "Downloads"]

_SHOWN = 60  # ms

_log = logging.getLogger(__name__)


class Downloads(pn.viewable.Viewer):
    """A row of such buttons, and under it a line of words where the last file asked for could not be made."""

    def __init__(self, *kinds: tuple[str, Callable[[], io.BytesIO], str], **params: Any) -> None:  # noqa: ANN401
        """Build the buttons, in ``buttons`` by the ending of their files.

        Args:
            kinds: Label, what makes the file, and its name.
            params: Those of every button.
        """
        super().__init__()
        self.buttons = {
            name.rpartition(".")[2]: DownloadButton(make, self.say, label=label, filename=name, **params)
            for label, make, name in kinds
        }
        self.words = pn.pane.HTML("", sizing_mode="stretch_width", stylesheets=[_STYLE], margin=0)

    def say(self, text: str) -> None:
        """Show ``text`` as a failure; nothing for "".

        >>> downloads = Downloads()
        >>> downloads.say("<b> could not be made")
        >>> downloads.words.object
        '<p role="alert" data-export="failed">&lt;b&gt; could not be made</p>'
        """
        self.words.object = f'<p role="alert" data-export="failed">{escape(text)}</p>' if text else ""

    def __panel__(self) -> pn.viewable.Viewable:
        row = pn.FlexBox(*self.buttons.values(), margin=0)
        return pn.Column(row, self.words, sizing_mode="stretch_width", margin=0)


class DownloadButton(pmui.FileDownload):
    """A button that makes a file when it is pressed, and says so where it cannot."""

    def __init__(self, make: Callable[[], io.BytesIO], say: Callable[[str], None], **params: Any) -> None:  # noqa: ANN401
        """Call ``say`` with the words, and at every press with none."""
        self._say = say
        super().__init__(callback=make, **params)

    def _handle_click(self, event: object = None) -> None:
        self._say("")
        self.data = None  # the browser saves what changes: else a file that is still the same could not be had again
        label, self.label, self.loading = self.label, "Writing …", True
        document = pn.state.curdoc
        if document is None:
            self._make(event, label)
        else:  # once the browser shows it: nothing is sent while the file is made
            document.add_timeout_callback(partial(self._make, event, label), _SHOWN)

    def _make(self, event: object, label: str) -> None:
        try:
            super()._handle_click(event)
        except Exception as error:  # whatever it is: who pressed the button must hear of it
            expected = isinstance(error, ImoError)
            _log.warning("%s could not be made: %s", self.filename, error, exc_info=not expected)
            why = str(error) if expected else f"{type(error).__name__}: {error}"
            self._say(f"{label} could not be made. {why}")
        finally:
            self.label, self.loading = label, False


_STYLE = "p { margin: 4px 0; font-size: 13px; font-weight: 600; color: var(--imo-warning); overflow-wrap: anywhere; }"
