"""How the page's frame and its fields look."""

from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.themes import Theme
from panel.util.parameters import edit_readonly

from app.plots.colours import DARK, LIGHT

__all__ = ["HEADER", "LEFT", "RIGHT", "SMALL_FIELDS", "let_go", "own_theme", "page_look"]

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

LEFT = _column("clamp(350px, 27vw, 440px)", "right")
RIGHT = _column("clamp(270px, 21vw, 380px)", "left")


def own_theme() -> Theme:
    """Return a theme that leaves the looks of plots to the code that paints them."""
    return Theme(json={"attrs": dict.fromkeys(("Axis", "ColorBar", "Figure", "Grid", "Legend", "Plot", "Title"), {})})


def page_look() -> dict[str, Any]:
    """Return what Material UI has to know."""
    return {
        "theme_config": {
            "light": {"palette": {"primary": {"main": LIGHT.accent}}},
            "dark": {"palette": {"primary": {"main": DARK.accent}, "background": {"default": DARK.background}}},
        },
        "sx": {
            "& .MuiToolbar-root": {"minHeight": f"{HEADER}px !important"},
            "& .main": {"padding": 0},
            "& .MuiLinearProgress-root": {"display": "none"},  # drawn even without a busy indicator, and nameless
            "& .MuiAppBar-root": {"backgroundColor": "#12283c", "color": "#ffffff", "boxShadow": "none"},
        },
    }


def let_go(page: pmui.Page) -> None:
    """Let the process forget a page when its session ends.

    A page follows whether the server is busy, for its indicator, and so the process-wide ``pn.state`` keeps it, its
    session and every model of it for ever (panel-material-ui 0.16.6 with Panel 1.9.4 and param 2.4.2). A plain value
    would not end that: only another reference takes the place of the first. Without an indicator nothing is lost.
    """
    with edit_readonly(page):
        page.busy = pn.rx(False)
