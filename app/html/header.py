"""The page's header as plain HTML: what can be done, how the page looks, and help, each in a group of its own."""

from collections.abc import Collection
from html import escape

from app.browser.channel import tells
from app.state.keys import keys_of

__all__ = ["HEADER_STYLE", "SWITCHES", "header_html"]

_SPECTRA = (
    ("Add spectrum", "Score and explain a spectrum of your own", "add"),
    ("Files", "Labels, attributions and figures as files; import of labels", "files"),
)
_TARGETS = (
    ("Groups", "Outliers with the same cause, put together", "groups"),
    ("Latent space", "All targets where the model sees them", "latent"),
    ("Disagreements", "Where two people's labels differ", "disagreements"),
)
SWITCHES = {"compare": "Compare methods", "large_type": "Large type", "details": "Details", "truth": "Reveal truth"}
"""What is on or off: its name among the session's choices, and its words."""

_TIPS = {
    "compare": "Other attribution methods beside inverse occlusion",
    "large_type": "Letters for a projector",
    "details": "The column with reasons and labels",
    "truth": "What was injected into the simulated target",
}


def header_html(on: Collection[str], *, simulated: bool, truth: bool) -> str:
    """Return the header.

    Args:
        on: Which switches are on.
        simulated: Whether to say that the data are simulated.
        truth: Whether it is known what was injected.
    """
    badge = '<span class="badge">Simulated data</span>' if simulated else ""
    compare = _button(
        SWITCHES["compare"], _TIPS["compare"], tells("switch"), word="compare", key="compare", pressed="compare" in on
    )
    spectra, targets = (
        "".join(_button(words, tip, tells("header"), key=key) for words, tip, key in group)
        for group in (_SPECTRA, _TARGETS)
    )
    shown = ["large_type", "details", *(["truth"] if truth else [])]
    view = "".join(_box(name, name in on) for name in shown)
    menu = (
        '<button type="button" popovertarget="imo-view" title="Size of type, and what is beside the plots">View '
        '<span aria-hidden="true">▾</span></button>'
        '<div id="imo-view" class="menu" popover ontoggle="window.imo.explorer.placeMenu(this)">'
        f'<div role="group" aria-label="View">{view}</div></div>'
    )
    theme = _button("◐", "Light or dark", "window.imo.explorer.theme()", key="theme", label="Toggle theme")
    help_ = _button("How it works", "The method, live", tells("header"), key="method") + _button(
        "?", "All keys", "window.imo.explorer.keys.run('help')", key="help", label="Keys"
    )
    return (
        f'<div class="header"><h1>IMO Explorer</h1>{badge}<span class="space"></span>'
        f"{_group('Spectra and files', spectra)}"
        f"{_group('Compare', compare + targets)}{_group('View', menu + theme)}{_group('Help', help_)}</div>"
    )


def _group(name: str, buttons: str) -> str:
    return f'<div class="group" role="group" aria-label="{name}">{buttons}</div>'


def _button(
    text: str, tip: str, call: str, *, word: str = "", key: str = "", label: str = "", pressed: bool | None = None
) -> str:
    tip = f"{tip} ({keys_of(key)})" if key else tip
    more = f' aria-label="{label}"' if label else ""
    if pressed is not None:
        more += f' aria-pressed="{str(pressed).lower()}" data-switch="{word}"'
    return (
        f'<button type="button" data-word="{word or escape(text)}" title="{escape(tip)}"{more} '
        f'onclick="{call}">{escape(text)}</button>'
    )


def _box(name: str, on: bool) -> str:
    key = f"<kbd>{keys_of(name.replace('_', '-'))}</kbd>"
    return (
        f'<label title="{escape(_TIPS[name])}"><input type="checkbox" data-switch="{name}" data-word="{name}"'
        f'{" checked" if on else ""} onchange="{tells("switch")}">{SWITCHES[name]}{key}</label>'
    )


HEADER_STYLE = """
.header { display: flex; align-items: center; gap: 14px; min-width: 0; height: 48px;
  font-size: calc(13px * var(--imo-type, 1)); color: #ffffff; }
.space { flex: 1; }
h1 { font-size: 16px; font-weight: 600; margin: 0; white-space: nowrap; }
.badge { border: 1px solid #8fa6ba; border-radius: 4px; padding: 2px 8px; font-size: 12px; white-space: nowrap; }
.group { display: inline-flex; }
button { font: inherit; color: #ffffff; background: transparent; border: 1px solid #8fa6ba; padding: 2px 10px;
  height: 30px; cursor: pointer; white-space: nowrap; margin-left: -1px; }
.group > button:first-of-type { border-radius: 5px 0 0 5px; }
.group > button:last-of-type { border-radius: 0 5px 5px 0; }
.group > button:only-of-type { border-radius: 5px; }
button:hover { background: #2b465f; }
button[aria-pressed="true"] { background: #d9e6f2; color: #12283c; }
button:focus-visible { outline: 2px solid #ffffff; outline-offset: 2px; z-index: 1; }
.menu { position: fixed; margin: 0; inset: auto; padding: 8px 12px; border: 1px solid var(--imo-line);
  border-radius: 8px; background: var(--imo-surface); color: var(--imo-text);
  box-shadow: 0 6px 24px rgba(0, 0, 0, 0.25); font-size: 13px; }
label { display: flex; align-items: center; gap: 8px; min-height: 26px; cursor: pointer; white-space: nowrap; }
input { accent-color: var(--imo-accent); margin: 0; }
input:focus-visible { outline: 2px solid var(--imo-accent); outline-offset: 1px; }
kbd { margin-left: auto; padding: 0 4px; border-radius: 4px; border: 1px solid var(--imo-edge);
  font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
@media (max-width: 1300px) { .header { gap: 8px; } button { padding: 2px 7px; } }
"""
