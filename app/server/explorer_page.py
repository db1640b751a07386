"""The page: one call makes it for one browser session."""

from functools import partial
from uuid import uuid4

import panel as pn
import panel_material_ui as pmui
from bokeh.document import Document

from app.browser.address import follow_address
from app.browser.client import BrowserCode
from app.browser.connection import follow_connection
from app.browser.page_turns import in_turn, page_schedule
from app.html.theme import variables
from app.plots.colours import DARK, LIGHT
from app.plots.sources import PlotSources
from app.plots.stack import PlotStack
from app.state.asking import AskDesk
from app.state.candidates import CandidateDesk
from app.state.choices import AppState
from app.state.classes import ClassDesk
from app.state.keyboard import on_key
from app.state.labels import LabelDesk
from app.state.links import Place, place_in
from app.state.method_choices import known_methods
from app.state.methods import MethodDesk
from app.state.repair import RepairDesk, RepairState
from app.state.target import Session
from app.state.triage import Triage
from app.state.workspace import Workspace
from app.views.comparisons import Comparisons
from app.views.dialogs.candidate import CandidateDialog
from app.views.dialogs.classes import ClassDialog
from app.views.dialogs.compare import CompareDialog
from app.views.dialogs.explain import ExplanationSheet
from app.views.dialogs.files import FilesDialog
from app.views.header import header
from app.views.look import HEADER, LEFT, RIGHT, let_go, own_theme, page_look
from app.views.reasons.ask import AskPanel
from app.views.reasons.label import LabelPanel
from app.views.reasons.repair import RepairPanel
from app.views.reasons.who import WhoPanel
from app.views.reasons.why import WhyPanel
from app.views.spectrum.methods import methods_bar
from app.views.spectrum.progress import ProgressStrip
from app.views.spectrum.target import TargetStrip
from app.views.spectrum.toolbar import toolbar
from app.views.table.filters import TableFilters
from app.views.table.table import RankedTable

__all__ = ["explorer_page"]


def explorer_page(workspace: Workspace) -> pn.viewable.Viewable:
    """Return the page of a new session.

    Raises:
        ImoError: the user's labels cannot be read.
    """
    document = pn.state.curdoc
    document.theme = own_theme()
    schedule = page_schedule(document)
    survey, settings = workspace.survey, workspace.settings
    place = place_in(pn.state.session_args)
    state = AppState()
    desk = LabelDesk(workspace.store, _login() or workspace.user, submit=workspace.saving.submit, schedule=schedule)
    triage = Triage(state, survey, desk.label_of)
    sources = PlotSources(survey.spectra.wavelength, settings.window_sizes, settings.n_baselines)
    stack = PlotStack(sources, settings.weights)
    browser = BrowserCode(stack)
    browser.attach(document)

    def act(action: str) -> None:
        with in_turn(document):
            on_key(triage, state, action)
            repairs.on_key(action)

    classes = ClassDialog(
        ClassDesk(workspace.store, submit=workspace.saving.submit, schedule=schedule, edited=desk.reload)
    )
    label = LabelPanel(desk, classes.open, triage.select)
    label.attach(document, stack.axes.wavelength, schedule, browser.channel)
    # before all others that follow the target: whoever sees a new target writes into its label
    state.param.watch(lambda event: desk.open(event.new), "target_id")
    session = Session(
        state,
        workspace.explainer,
        sources,
        schedule,
        settings,
        alive=partial(_has_browser, document),
        reasons=workspace.reasons,
        think=workspace.thinking.submit,
        ahead=triage.neighbours if workspace.ahead else lambda target: [],
        idle=workspace.unexplained if workspace.ahead else list,
    )
    methods = MethodDesk(
        state, session, workspace.explainer, stack.methods, schedule, settings, alive=partial(_has_browser, document)
    )
    repairs = RepairDesk(state, session, workspace.explainer, schedule, settings, alive=partial(_has_browser, document))
    repairs.param.watch(lambda event: _draw_repair(sources, event.new), "state")
    browser.on_key(act)
    candidates = CandidateDesk(
        workspace.explainer, workspace.shelf, submit=workspace.thinking.submit, schedule=schedule
    )

    asking = AskDesk(lambda: session.survey, settings, submit=workspace.asking.submit, schedule=schedule)

    table = RankedTable(survey, triage, desk, workspace.reasons.brief)
    filters = TableFilters(survey, triage, desk)
    soon, later = (partial(document.add_timeout_callback, timeout_milliseconds=wait) for wait in (300, 1500))
    comparisons = Comparisons(workspace, lambda: session.survey, triage, desk, table.explain, schedule, later)
    comparisons.attach(document, browser.channel)
    add, compare = CandidateDialog(candidates), CompareDialog(desk, triage)
    files = FilesDialog(session, desk, methods, repairs, lambda: page.dark_theme, schedule)
    explain = ExplanationSheet(
        state, session, settings, browser.channel, submit=workspace.thinking.submit, schedule=schedule
    )
    actions = {
        "Add spectrum": add.open,
        "Files": files.open,
        "Disagreements": compare.open,
        "How it works": explain.open,
        **comparisons.actions,
    }
    column = {"sizing_mode": "stretch_both", "margin": 0}
    left = pmui.Column(filters, comparisons.mark, table, styles=LEFT, **column)
    about = TargetStrip(session, state, schedule), ProgressStrip(session, schedule, soon)
    strip = pn.Row(*about, sizing_mode="stretch_width", margin=0)
    plots = pn.pane.Bokeh(stack.layout, sizing_mode="stretch_both", margin=0)
    middle = pmui.Column(
        strip,
        toolbar(settings.window_sizes),
        methods_bar(),
        plots,
        comparisons.latent,
        styles={"min-width": "0", "position": "relative"},
        **column,
    )
    why = pn.Column(
        WhyPanel(session, schedule),
        RepairPanel(repairs, schedule),
        comparisons.similar,
        sizing_mode="stretch_both",
        margin=0,
        styles={"overflow-y": "auto", "display": "block"},
    )
    who = WhoPanel(session, state, workspace.truth, schedule)
    right = pmui.Column(who, why, AskPanel(asking, schedule), label, styles=RIGHT, **column)
    height = {"height": f"calc(100vh - {HEADER}px)"}
    body = pmui.Row(left, middle, right, sizing_mode="stretch_both", margin=0, styles=height)
    page = pmui.Page(
        title="IMO Explorer",
        main=[body, add, files, compare, classes, explain, *comparisons.dialogs()],
        header=header(state, actions, simulated=survey.simulated, truth=bool(workspace.truth)),
        raw_css=["html, body { overflow: hidden }"],
        stylesheets=[variables()],
        busy_indicator=None,
        dark_theme=pn.state.session_args.get("theme", [b""])[0] == b"dark",
        **page_look(),
    )

    let_go(page)

    def paint() -> None:
        for one in (stack, explain, comparisons.latent):
            one.paint(DARK if page.dark_theme else LIGHT, large=state.large_type)

    def on_look(event: object) -> None:
        body.styles = {**height, "--imo-type": "1.3" if state.large_type else "1"}
        schedule(paint)

    def on_kept(event: object) -> None:
        triage.add([one.target_id for one in candidates.kept], workspace.explainer.survey)
        table.refresh(workspace.explainer.survey)
        filters.update()
        comparisons.refresh()
        if candidates.kept:
            triage.select(candidates.kept[0].target_id)

    def close(context: object) -> None:
        workspace.pages.discard(key)
        explain.close()
        methods.close()
        repairs.close()
        session.close()
        candidates.close()
        asking.close()
        comparisons.close()

    paint()
    page.param.watch(on_look, "dark_theme")
    state.param.watch(on_look, "large_type")
    state.param.watch(lambda event: schedule(partial(table.show, event.new)), "target_id")  # the spectrum comes first
    for choice in ("details", "compare"):  # two columns of plots need the width
        state.param.watch(lambda _: right.param.update(visible=state.details and not state.compare), choice)
    state.param.watch(lambda event: comparisons.follow(event.new), "target_id")
    candidates.param.watch(on_kept, "kept")
    state.param.watch(lambda _: asking.clear(), "target_id")
    browser.on_brush(lambda low, high: asking.ask(state.target_id, low, high), asking.clear)
    key = uuid4().hex
    workspace.pages.add(key)
    follow_address(document, stack, place)
    follow_connection(document, stack, key, HEADER)
    pn.state.on_session_destroyed(close)
    pn.state.onload(partial(_begin, triage, state, place))
    return page


def _begin(triage: Triage, state: AppState, place: Place) -> None:
    """Select what the address asks for, else the first target."""
    if place.compare is not None:
        state.param.update(compare=True, methods=known_methods(place.compare))
    target_id = place.target_id
    if not (target_id and triage.select(target_id)) and triage.order:
        words = triage.words
        triage.select(triage.order[0])
        triage.words = words


def _login() -> str | None:
    # without a secret nobody can have logged in, whatever cookies another program on this host has left
    return pn.state.user if pn.config.cookie_secret else None


def _draw_repair(sources: PlotSources, shown: RepairState) -> None:
    if shown.found is not None:
        repair = shown.found.repair
        sources.show_repair([(one.start, one.stop) for one in repair.regions], repair.flux)


def _has_browser(document: Document) -> bool:
    context = document.session_context
    session = None if context is None else context.session
    return session is not None and session.connection_count > 0
