"""The page begins as it looked the last time, and tells the browser how it looks."""

from dataclasses import replace
from typing import Any

import panel_material_ui as pmui

from app.browser.channel import Channel
from app.browser.look import Look, remember
from app.state.choices import Choices

__all__ = ["remember_look"]


def remember_look(
    page: pmui.Page,
    choices: Choices,
    channel: Channel,
    document: Any,  # noqa: ANN401 - bokeh.document.Document, a Panel proxy at run time
    look: Look,
    owner: str,
) -> None:
    """Begin with a look, in whose colours the page is already, and keep the browser's memory up to date.

    Args:
        page: In the look's colours.
        choices: Of the session.
        channel: Brings what the system wishes.
        document: The page's.
        look: As it was remembered.
        owner: Name that the browser is to keep.
    """
    choices.param.update(large_type=look.large, details=look.details)
    source = remember(document, channel.source, look, owner)
    seen, wished = look, False

    def update(*, chosen: bool) -> None:
        nonlocal seen
        seen = replace(
            seen, dark=page.dark_theme, large=choices.large_type, details=choices.details, chosen=seen.chosen or chosen
        )
        source.data = {"word": [seen.word()]}

    def wish(dark: object) -> None:
        nonlocal wished
        wished = True
        page.dark_theme = dark is True
        wished = False

    channel.on("system-dark", wish)
    page.param.watch(lambda _: update(chosen=not wished), "dark_theme")
    choices.param.watch(lambda *_: update(chosen=False), ["large_type", "details"])
