"""How the page's frame and its fields look."""

from typing import Any

import panel as pn
from bokeh.themes import Theme

from app.plots.colours import DARK, LIGHT

__all__ = ["HEADER", "HEADER_ROW", "LARGE_TYPE", "LEFT", "MATERIAL", "RIGHT", "SMALL_FIELDS", "own_theme", "set_theme"]

HEADER = 48


def _column(width: str, side: str) -> dict[str, str]:
    return {"min-width": width, "max-width": width, f"border-{side}": "1px solid var(--imo-line)"}


SMALL_FIELDS = """
:host .MuiInputBase-root, :host .MuiInputBase-input, :host .MuiSelect-select, :host .MuiFormControlLabel-label,
:host .MuiTypography-root { font-size: calc(13px * var(--imo-type, 1)) !important; }
:host .MuiInputBase-input:not(textarea), :host .MuiSelect-select { padding: 5px 9px !important; }
:host .MuiSelect-select { padding-right: 28px !important; }
:host .MuiInputLabel-root { font-size: calc(13px * var(--imo-type, 1)) !important; }
:host textarea { padding: 0 !important; line-height: 1.35 !important; }
"""
"""Fields of Material UI in the page's own size."""

HEADER_ROW: dict[str, Any] = {
    "sizing_mode": "stretch_width",
    "height": HEADER,
    "margin": 0,
    "styles": {"background": "#12283c", "color": "#ffffff", "align-items": "center", "padding": "0 12px"},
}
MATERIAL = {
    "light": {"palette": {"primary": {"main": LIGHT.accent}}},
    "dark": {"palette": {"primary": {"main": DARK.accent}, "background": {"default": DARK.background}}},
}
"""Colours of Material UI, in the way that it takes them."""

LARGE_TYPE = {"--imo-type": "1.3", "--imo-extra": "none", "--imo-over": "absolute", "--imo-idle": "hidden"}
"""CSS of the speaker's view: larger letters, fewer buttons, values in place of the legend; ``initial`` ends it."""

LEFT = _column("clamp(350px, 28vw, 540px)", "right")
RIGHT = _column("clamp(270px, 21vw, 380px)", "left")


def own_theme() -> Theme:
    """Return a theme that leaves the looks of plots to the code that paints them."""
    return Theme(json={"attrs": dict.fromkeys(("Axis", "ColorBar", "Figure", "Grid", "Legend", "Plot", "Title"), {})})


def set_theme(*, dark: bool) -> None:
    """Let widgets that this session makes from now on be light or dark."""
    pn.config.theme = "dark" if dark else "default"  # type: ignore[misc]  # to be set, whatever its types say
