"""The page: one call makes it for one browser session."""

from functools import partial

import panel as pn
import panel_material_ui as pmui
from bokeh.document import Document
from bokeh.themes import Theme

from app.explainer import Explainer, Settings
from app.plots.colours import DARK, LIGHT, Colours
from app.plots.sources import PlotSources
from app.plots.stack import PlotStack
from app.session import Session
from app.state import AppState
from app.survey import Survey
from app.views.progress import ProgressStrip
from app.views.table import RankedTable
from app.views.target import TargetStrip
from app.views.toolbar import toolbar

__all__ = ["explorer_page"]

_HEADER = 48
_OWN_LOOK = ("Axis", "ColorBar", "Figure", "Grid", "Legend", "Plot", "Title")


def explorer_page(survey: Survey, explainer: Explainer, settings: Settings) -> pn.viewable.Viewable:
    """Return the page of a new session."""
    document = pn.state.curdoc
    document.theme = Theme(json={"attrs": dict.fromkeys(_OWN_LOOK, {})})  # PlotStack.paint does what the page's would
    state = AppState()
    sources = PlotSources(survey.spectra.wavelength, settings.window_sizes, settings.n_baselines)
    dark = pn.state.session_args.get("theme", [b""])[0] == b"dark"
    stack = PlotStack(sources)
    stack.paint(DARK if dark else LIGHT)
    stack.attach(document)
    session = Session(
        state, explainer, sources, document.add_next_tick_callback, settings, alive=partial(_has_browser, document)
    )
    table = RankedTable(survey, state)

    left = pmui.Column(
        _heading(survey),
        table,
        width=372,
        sizing_mode="stretch_height",
        margin=0,
        styles={"border-right": "1px solid var(--imo-line)"},
    )
    plots = pn.pane.Bokeh(stack.layout, sizing_mode="stretch_both", margin=0, min_height=420)
    middle = pmui.Column(
        TargetStrip(survey, state),
        ProgressStrip(session),
        toolbar(),
        plots,
        sizing_mode="stretch_both",
        margin=0,
        styles={"min-width": "0"},
    )
    body = pmui.Row(left, middle, sizing_mode="stretch_both", margin=0, styles={"height": f"calc(100vh - {_HEADER}px)"})
    page = pmui.Page(
        title="IMO Explorer",
        main=[body],
        header=[_badge(survey)],
        raw_css=["html, body { overflow: hidden }"],
        stylesheets=[_variables()],
        busy_indicator=None,
        theme_config={
            "light": {"palette": {"primary": {"main": LIGHT.window}}},
            "dark": {"palette": {"primary": {"main": DARK.window}, "background": {"default": DARK.background}}},
        },
        dark_theme=dark,
        sx={
            "& .MuiToolbar-root": {"minHeight": f"{_HEADER}px !important"},
            "& .main": {"padding": 0},
            "& .MuiAppBar-root": {"backgroundColor": "#12283c", "color": "#ffffff", "boxShadow": "none"},
        },
    )

    def on_theme(event: object) -> None:
        document.add_next_tick_callback(partial(stack.paint, DARK if page.dark_theme else LIGHT))

    page.param.watch(on_theme, "dark_theme")
    pn.state.on_session_destroyed(lambda context: session.close())
    if table.first():
        pn.state.onload(lambda: table.select(table.first()))
    return page


def _has_browser(document: Document) -> bool:
    context = document.session_context
    session = None if context is None else context.session
    return session is not None and session.connection_count > 0


def _heading(survey: Survey) -> pn.viewable.Viewable:
    from html import escape

    scored = int((survey.rank > 0).sum())
    size = f"{len(survey.spectra):,} of {survey.size:,}" if survey.size > scored else f"{len(survey.spectra):,}"
    unscored = len(survey.spectra) - scored
    more = f", {unscored} without a score" if unscored else ""
    return pn.pane.HTML(
        f'<div style="padding:8px 10px 4px"><div style="font-weight:600;font-size:14px">{escape(survey.title)}</div>'
        f'<div style="font-size:12px;color:var(--imo-muted)">{size} spectra{more}, lowest log p first</div></div>',
        sizing_mode="stretch_width",
        margin=0,
    )


def _badge(survey: Survey) -> pn.viewable.Viewable:
    style = "color:#ffffff;border:1px solid #8fa6ba;border-radius:4px;padding:2px 8px;font-size:12px"
    words = f'<span style="{style}">Simulated data</span>' if survey.simulated else ""
    return pn.pane.HTML(words, margin=(0, 10))


def _variables() -> str:
    """Return the page's own colours as CSS variables, for the two classes that the theme switch toggles."""

    def block(colours: Colours, surface: str, hover: str, warning: str, on_accent: str) -> str:
        return (
            f"--imo-text:{colours.text};--imo-muted:{colours.muted};--imo-line:{colours.grid};--imo-surface:{surface};"
            f"--imo-hover:{hover};--imo-accent:{colours.window};--imo-warning:{warning};--imo-on-accent:{on_accent};"
            f"--imo-background:{colours.background};background:{colours.background};"
        )

    return (
        f".mui-light {{{block(LIGHT, '#ffffff', '#f1f4f7', '#a63a00', '#ffffff')}}}"
        f".mui-dark {{{block(DARK, '#1b2027', '#262d36', '#ffab7a', '#0d1116')}}}"
    )
