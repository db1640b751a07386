"""One explained object as a single HTML file: the page's plots and buttons, without a server and without a network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from bokeh.core.templates import get_env
from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.resources import Resources

from app.browser.client import BrowserCode
from app.findings.reasons import Reason, marks
from app.html.glossary import TERM_STYLE
from app.html.repair import REPAIR_STYLE, repaired_html
from app.html.theme import variables
from app.html.toolbar import TOOLBAR_STYLE, toolbar_html
from app.html.why import WHY_STYLE, why_html
from app.labels import QUALITIES, Label
from app.plots.colours import DARK, LIGHT
from app.plots.sources import PlotSources
from app.plots.stack import PlotStack
from app.state.keys import KEYS
from app.state.repair import Repaired, repair_words
from app.state.words import within
from imo_engine.attribution.record import WEIGHTINGS, Attribution, local_share_words
from imo_engine.errors import InputError
from imo_engine.results.ecsv import software
from imo_engine.spectra.spectra import Spectra

__all__ = ["StandaloneObject", "standalone_html"]

_ONLY_SERVED = {"brush", "brush-view", "class", "repair", "theme"}
_POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"


@dataclass(frozen=True, eq=False)
class StandaloneObject:
    """What such a file is made of.

    Attributes:
        spectrum: The one spectrum.
        attribution: Its attribution.
        reason: Why it is odd; None if that was not worked out.
        repaired: What would make it ordinary; None if that was not asked.
        label: What was said of it; None or an empty one if nothing was.
        scanner: Who said it.
        facts: More about it, by name, such as its rank.
        simulated: Whether it is a simulated spectrum, which the file then says.
    """

    spectrum: Spectra
    attribution: Attribution
    reason: Reason | None = None
    repaired: Repaired | None = None
    label: Label | None = None
    scanner: str = ""
    facts: Sequence[tuple[str, str]] = ()
    simulated: bool = False


def standalone_html(shown: StandaloneObject, *, dark: bool = False) -> str:
    """Return the file's text, UTF-8; opened from a disk it asks nothing of any network, and is not allowed to.

    Args:
        shown: What it shows; its words are text, never markup.
        dark: Dark colours.

    Raises:
        InputError: not one spectrum.
    """
    if len(shown.spectrum) != 1:
        raise InputError(f"'spectrum' has {len(shown.spectrum)} spectra, expected one")
    attribution = shown.attribution
    sources = PlotSources(attribution.wavelength, attribution.window_sizes, len(attribution.baselines))
    stack = PlotStack(sources)
    browser = BrowserCode(stack, [key for key in KEYS if not key.forwarded and key.action not in _ONLY_SERVED])
    stack.paint(DARK if dark else LIGHT)
    sources.show_spectrum(shown.spectrum, 0)
    if shown.reason is None:
        sources.show_attribution(attribution)
    else:
        sources.show_attribution(attribution, shown.reason.significance, shown.reason.why_not)
        sources.show_reconstruction(shown.reason.reconstruction)
        sources.show_features(marks(shown.reason.features))
    if shown.repaired is not None:
        repair = shown.repaired.repair
        sources.show_repair([(one.start, one.stop) for one in repair.regions], repair.flux)
    document = Document()
    browser.attach(document)
    document.add_root(stack.layout)
    target = str(shown.spectrum.target_id[0])
    scripts = Resources(mode="inline", components=["bokeh"]).js_raw
    return file_html(
        document,
        Resources(mode="inline"),
        title=f"{target} · IMO Explorer",
        template=get_env().from_string(_PAGE),
        template_variables={
            "policy": _POLICY,
            "theme": "mui-dark" if dark else "mui-light",
            # Bokeh's own and nothing else: Panel, where it is there, would add files of its server
            "scripts": "".join(f"<script>{code}</script>" for code in scripts),
            "variables": variables(),
            "style": _STYLE,
            "header": _header(shown, target),
            "toolbar": _shadow(
                toolbar_html(attribution.window_sizes, attribution.weighting, alone=True), TOOLBAR_STYLE
            ),
            "side": _shadow(_side(shown), TERM_STYLE + WHY_STYLE + REPAIR_STYLE + _SIDE_STYLE),
        },
        suppress_callback_warning=True,
    )


def _shadow(html: str, style: str) -> str:
    """Return HTML that keeps its style to itself, as Panel's components do."""
    return f'<div><template shadowrootmode="open"><style>{style}</style>{html}</template></div>'


def _header(shown: StandaloneObject, target: str) -> str:
    spectrum = shown.spectrum
    facts = [*shown.facts, ("z", f"{shown.attribution.redshift:.5f}")]
    if np.isfinite(spectrum.ra[0]) and np.isfinite(spectrum.dec[0]):
        facts.append(("RA, Dec", f"{spectrum.ra[0]:.5f}, {spectrum.dec[0]:+.5f}"))
    words = "".join(f'<span class="fact"><i>{escape(name)}</i> {escape(value)}</span>' for name, value in facts)
    badge = '<span class="badge">Simulated data</span>' if shown.simulated else ""
    return f'<b>{escape(target)}</b>{words}<span class="grow"></span>{badge}<span class="by">IMO Explorer</span>'


def _side(shown: StandaloneObject) -> str:
    why = '<section class="why"><h2>Why is it odd?</h2><p class="quiet">This was not worked out.</p></section>'
    if shown.reason is not None:
        why = why_html(shown.reason)
    if shown.repaired is not None:
        why += repaired_html(repair_words(shown.repaired), shown.repaired, alone=True)
    return why + _label(shown) + _made_with(shown)


def _label(shown: StandaloneObject) -> str:
    label = shown.label
    if label is None or label.empty:
        return ""
    said = [("Class", label.label_class)]
    if label.quality is not None:
        said.append(("Quality", f"{label.quality}: {QUALITIES[label.quality]}"))
    said += [("Issues", label.issues), ("Starred", "yes" if label.star else "")]
    said.append(("VI_z", "" if label.redshift is None else f"{label.redshift:.5f}"))
    said += [("Spectral type", label.spectype), ("Comment", label.comment)]
    title = f"Label by {escape(shown.scanner)}" if shown.scanner else "Label"
    return f'<section class="more" aria-label="Label"><h2>{title}</h2>{_list(said)}</section>'


def _made_with(shown: StandaloneObject) -> str:
    attribution, note = shown.attribution, shown.attribution.provenance
    rows = [
        ("Model", f"{note.get('model', '')} {note.get('model_fingerprint', '')}".strip()),
        ("Windows", f"{', '.join(map(str, attribution.window_sizes))} pixels"),
        ("Baselines", str(len(attribution.baselines))),
        ("Weights", WEIGHTINGS[attribution.weighting]),
        ("Values", within(attribution)),
        ("Split", local_share_words(attribution)),
        ("File", str(shown.spectrum.source[0])),
        ("Software", ", ".join(f"{name} {number}" for name, number in software().items())),
    ]
    method = "Inverse multiscale occlusion, Shen &amp; Melchior 2023, arXiv:2310.20012"
    return (
        f'<section class="more" aria-label="How it was made"><h2>Made with</h2><p>{method}</p>{_list(rows)}</section>'
    )


def _list(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows if value)
    return f"<dl>{cells}</dl>"


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width">
<title>{{ title | e }}</title>
<style>{{ variables }}{{ style }}</style>
{{ scripts }}
</head>
<body class="{{ theme }}">
<header>{{ header }}</header>
<noscript>This file draws its plots with JavaScript, which is switched off here.</noscript>
<main>
<div class="plots">{{ toolbar }}<div class="stack"><div id="{{ roots[0].elementid }}" data-root-id="{{ roots[0].id }}"
  style="display: contents"></div></div></div>
<aside>{{ side }}</aside>
</main>
{{ plot_script }}
</body>
</html>
"""

_STYLE = """
html, body { margin: 0; height: 100%; }
body { display: flex; flex-direction: column; color: var(--imo-text);
  font: 13px/1.4 Roboto, system-ui, "Segoe UI", Helvetica, Arial, sans-serif; font-variant-numeric: tabular-nums; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 16px; padding: 8px 12px;
  border-bottom: 1px solid var(--imo-line); }
header b { font-size: 16px; user-select: all; overflow-wrap: anywhere; }
header i { font-style: normal; color: var(--imo-muted); }
header .grow { flex: 1; }
.badge { border: 1px solid var(--imo-edge); border-radius: 4px; padding: 0 7px; }
.by { color: var(--imo-muted); }
noscript { padding: 8px 12px; color: var(--imo-warning); }
main { flex: 1; min-height: 0; display: flex; }
.plots { flex: 1; min-width: 0; display: flex; flex-direction: column; }
.stack { flex: 1; min-height: 420px; display: flex; }
aside { width: clamp(250px, 22vw, 380px); overflow: auto; border-left: 1px solid var(--imo-line); }
"""

_SIDE_STYLE = """
.more { padding: 6px 10px; border-top: 1px solid var(--imo-line); font-size: 12px; line-height: 1.4;
  overflow-wrap: anywhere; }
.more h2 { font-size: 13px; margin: 2px 0; font-weight: 600; }
.more p { margin: 2px 0 4px; color: var(--imo-muted); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 1px 10px; margin: 2px 0; }
dt { color: var(--imo-muted); } dd { margin: 0; white-space: pre-line; }
"""
