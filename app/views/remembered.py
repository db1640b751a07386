"""The page begins as it looked the last time, and tells the browser how it looks."""

from dataclasses import replace
from typing import Any

from app.browser.channel import Channel
from app.browser.look import Look, remember
from app.state.choices import Choices

__all__ = ["remember_look"]


def remember_look(
    choices: Choices,
    channel: Channel,
    document: Any,  # noqa: ANN401 - bokeh.document.Document, a Panel proxy at run time
    look: Look,
    owner: str,
) -> None:
    """Begin with a look, and keep the browser's memory up to date.

    Args:
        choices: Of the session.
        channel: Brings which colours the browser shows: the user chose them, or the system wishes them.
        document: The page's.
        look: As it was remembered.
        owner: Name that the browser is to keep.
    """
    choices.param.update(dark=look.dark, large_type=look.large, details=look.details)
    source = remember(document, channel.source, look, owner)
    seen = look

    def update(*, chosen: bool) -> None:
        nonlocal seen
        seen = replace(
            seen, dark=choices.dark, large=choices.large_type, details=choices.details, chosen=seen.chosen or chosen
        )
        source.data = {"word": [seen.word()]}

    def theme(told: dict[str, object]) -> None:
        choices.dark = told["dark"] is True
        update(chosen=told["chosen"] is True)

    channel.on("theme", theme)
    choices.param.watch(lambda *_: update(chosen=False), ["large_type", "details"])
