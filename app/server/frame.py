"""The document around the page: title, resources, colours, and the script that runs before anything is drawn."""

from typing import Any

from bokeh.core.templates import FILE

from app.browser.modules import joined
from app.html.theme import variables
from app.plots.colours import DARK, LIGHT

__all__ = ["FRAME", "PARTS", "frame_variables"]

PARTS = (
    ("header", ("header",)),
    ("nav", ("targets",)),
    ("main", ("strip", "plots")),
    ("aside", ("reasons",)),
)
"""Elements of the explorer's page and the names of the parts in each, in the order in which they are read.

Each part is laid out by itself: when a text beside the plots changes, no plot is laid out again.
"""

FRAME = FILE.environment.from_string("""{% from macros import embed %}<!DOCTYPE html>
<html lang="en" class="{{ theme }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title | e }}</title>
<link rel="icon" type="image/png" sizes="32x32" href="{{ dist_url }}images/favicon.ico">
<style>{{ style }}</style>
{{ bokeh_css if bokeh_css }}
{{ bokeh_js if bokeh_js }}
<script type="module">
{{ early }}</script>
</head>
<body{{ ' class="imo-explorer"' if parts }}>
{% for tag, names in parts %}
<{{ tag }} class="imo-{{ names | first }}">{% for name in names %}{{ embed(roots[name]) }}{% endfor %}</{{ tag }}>
{% endfor %}
<div class="imo-rest">{% for root in roots %}{{ embed(root) if root.name not in named }}{% endfor %}</div>
{{ plot_script }}
</body>
</html>
""")
"""Jinja template, with what :func:`frame_variables` returns."""

_STYLE = """
html, body { margin: 0; padding: 0; height: 100%; box-sizing: border-box; color: var(--imo-text);
  font-family: system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
.imo-explorer { overflow: hidden; display: grid; grid-template-columns: auto minmax(0, 1fr) auto;
  grid-template-rows: auto minmax(0, 1fr); grid-template-areas: "header header header" "targets strip reasons"; }
.imo-header { grid-area: header; }
.imo-targets { grid-area: targets; }
.imo-strip { grid-area: strip; display: flex; flex-direction: column; }
.imo-reasons { grid-area: reasons; }
.imo-explorer .imo-rest { position: fixed; }
.imo-targets, .imo-strip, .imo-reasons { min-width: 0; min-height: 0; overflow: hidden; }
"""


def frame_variables(*, dark: bool, explorer: bool) -> dict[str, Any]:
    """Return what the template needs.

    Args:
        dark: Whether colours are for a dark room.
        explorer: Whether the document has :data:`PARTS`; what is not one of them follows.
    """
    scheme = f".mui-light {{ color-scheme: light; {_accent(LIGHT.accent)} }} "
    scheme += f".mui-dark {{ color-scheme: dark; {_accent(DARK.accent)} }}"
    return {
        "theme": "mui-dark" if dark else "mui-light",
        "style": f"{_STYLE}{variables()}{scheme}",
        "parts": PARTS if explorer else (),
        "named": [name for _, names in PARTS for name in names],
        "early": joined("early"),
    }


def _accent(colour: str) -> str:
    return f"accent-color: {colour};"
