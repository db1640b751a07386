"""The buttons in the page's header."""

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from app.state.choices import Choices

__all__ = ["header"]

_SX = {
    "color": "#ffffff",
    "borderColor": "#8fa6ba",
    "padding": "2px 8px",
    "height": "30px",
    "minWidth": "0",
    "fontSize": "13px",
    "textTransform": "none",
    "&.Mui-selected, &.Mui-selected:hover": {"backgroundColor": "#d9e6f2", "color": "#12283c"},
    "&:hover": {"backgroundColor": "#2b465f"},
    "&.Mui-focusVisible": {"outline": "2px solid #ffffff", "outlineOffset": "2px"},
}


def header(
    state: Choices, actions: dict[str, Callable[[], None]], *, simulated: bool, truth: bool
) -> list[pn.viewable.Viewable]:
    """Return the header's content.

    Args:
        state: Its switches are written.
        actions: What a button does, by its label.
        simulated: Whether to say that the data are simulated.
        truth: Whether it is known what was injected.
    """
    style: dict[str, Any] = {"size": "small", "variant": "outlined", "sx": _SX, "margin": (0, 2), "align": "center"}
    buttons = [pmui.Button(label=label, on_click=lambda _, do=do: do(), **style) for label, do in actions.items()]
    toggles = [_toggle(state, "compare", "Compare methods", style), _toggle(state, "large_type", "Large type", style)]
    if truth:
        toggles.append(_toggle(state, "truth", "Reveal truth", style))
    toggles.append(_toggle(state, "details", "Details", style))
    badge = "color:#ffffff;border:1px solid #8fa6ba;border-radius:4px;padding:2px 8px;font-size:12px;white-space:nowrap"
    words = f'<span style="{badge}">Simulated data</span>' if simulated else ""
    theme = '<button type="button" aria-label="Toggle theme" onclick="window.imo.explorer.theme()">◐</button>'
    toggles.append(pn.pane.HTML(theme, margin=(0, 6), align="center"))
    return [pn.pane.HTML(words, margin=(0, 10), align="center"), pn.layout.HSpacer(), *buttons, *toggles]


def _toggle(state: Choices, name: str, label: str, style: dict[str, Any]) -> pn.viewable.Viewable:
    return pmui.Toggle.from_param(state.param[name], name=label, label=label, description=None, **style)
