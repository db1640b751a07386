"""Latent space over the lower panels: made when it is first asked for, in step with the selection both ways."""

from collections.abc import Callable
from functools import partial
from html import escape

import numpy as np
import panel as pn
import panel_material_ui as pmui

from app.plots.colours import LIGHT, Colours
from app.plots.latent import COLOURINGS, Colouring, LatentPlot, by_class, by_number
from app.state.background import Background, Schedule, Submit
from app.state.labels import UserLabels
from app.state.triage import Subset, Triage
from app.survey.latents import LatentMap, Latents
from app.survey.survey import Survey
from app.views.look import SMALL_FIELDS

__all__ = ["LatentView"]

_HEIGHT = 400
_DRAWER = {  # over the lower panels, which so need not be arranged anew
    "position": "absolute",
    "bottom": "0",
    "left": "0",
    "right": "0",
    "z-index": "5",
    "background": "var(--imo-background)",
    "border-top": "1px solid var(--imo-edge)",
}


class LatentView(pn.viewable.Viewer):
    """A panel that is shown and hidden; a click opens a target, a lasso filters the table."""

    def __init__(
        self,
        survey: Callable[[], Survey],
        latents: Latents,
        triage: Triage,
        desk: UserLabels,
        *,
        submit: Submit,
        schedule: Schedule,
    ) -> None:
        """Build an empty panel.

        Args:
            survey: Gives the targets there are now.
            latents: Encodes them.
            triage: Whose selection is followed and written, and whose table a lasso filters.
            desk: Gives labels.
            submit: Runs a function in another thread.
            schedule: Runs a function soon where the page may be changed; called from that thread.
        """
        super().__init__()
        self._survey, self._latents, self._triage, self._desk = survey, latents, triage, desk
        self._background, self._schedule = Background(submit, schedule), schedule
        self._colours, self._large = LIGHT, False
        self.plot: LatentPlot | None = None
        self._facts: dict[str, np.ndarray] = {}
        self.colour = pmui.Select(
            options=list(COLOURINGS), value=COLOURINGS[0], label="Colour", size="small", width=120,
            margin=(10, 8, 2, 8), stylesheets=[SMALL_FIELDS],
        )  # fmt: skip
        self.words = pn.pane.HTML(_words("Encoding the spectra …"), sizing_mode="stretch_width", margin=0)
        self.close = pmui.Button(label="Close", size="small", variant="outlined", margin=(6, 8))
        bar = pn.Row(
            self.colour,
            self.words,
            self.close,
            sizing_mode="stretch_width",
            height=52,
            margin=0,
            styles={"align-items": "center"},
        )
        self.place = pn.Column(sizing_mode="stretch_both", margin=0)
        self.panel = pn.Column(
            bar, self.place, sizing_mode="stretch_width", height=_HEIGHT, margin=0, visible=False, styles=_DRAWER
        )
        self.colour.param.watch(lambda _: self._colour(), "value")
        desk.param.watch(self._on_label, "changed")

    def show(self, *, visible: bool) -> None:  # type: ignore[override]  # opens no server, as Panel's would
        """Show or hide the panel."""
        self.panel.visible = visible
        self.refresh()

    def refresh(self) -> None:
        """Bring new targets in, if the panel is shown."""
        survey = self._survey()
        if self.panel.visible and (self.plot is None or not set(self._visible(survey)) <= set(self.plot.targets)):
            self._background.renew()
            self._background.run(
                partial(self._mapped, survey),
                partial(self._show, survey),
                lambda words: self._say(f"There is no latent space: {words}"),
                about="mapping latent space",
            )

    def mark(self, target_id: str) -> None:
        """Mark the selected target."""
        if self.plot is not None:
            self.plot.mark(target_id)

    def forget_lasso(self) -> None:
        """The table shows all targets again."""
        if self.plot is not None:
            self.plot.forget_lasso()

    def paint(self, colours: Colours, *, large: bool = False) -> None:
        """Use a set of colours."""
        self._colours, self._large = colours, large
        if self.plot is not None:
            self.plot.paint(colours, large=large)

    def _visible(self, survey: Survey) -> list[str]:
        """Return the targets of this session that have a score."""
        scored = set(survey.spectra.target_id[np.isfinite(survey.log_prob)].tolist())
        return [target for target in self._triage.targets if target in scored]

    def _mapped(self, survey: Survey) -> LatentMap:
        import holoviews  # noqa: F401 - takes a second, which the page must not wait for

        return self._latents.map(survey)

    def _show(self, survey: Survey, latents: LatentMap) -> None:
        wanted = set(self._visible(survey))
        latents = latents.only([target in wanted for target in latents.target_id.tolist()])
        if not len(latents.target_id):
            self._say("No target has a score.")
            return
        spectra = survey.spectra
        place = {target: row for row, target in enumerate(spectra.target_id.tolist())}
        rows = [place[target] for target in latents.target_id.tolist()]
        facts = {"redshift": spectra.redshift[rows], "log_prob": survey.log_prob[rows], "rank": survey.rank[rows]}
        self._facts = facts
        self.plot = LatentPlot(latents, facts, self._triage.select, self._on_lasso)
        self._colour()
        self.plot.paint(self._colours, large=self._large)
        self.plot.mark(self._triage.selected)
        self.place.objects = [pn.pane.Bokeh(self.plot.figure, sizing_mode="stretch_both", margin=0)]
        self._say(
            f"{len(latents.target_id):,} targets on their first principal components, over "
            f"{len(latents.baselines):,} baselines (grey). Click opens, lasso filters the table, wheel zooms."
        )

    def _on_lasso(self, targets: frozenset[str]) -> None:
        count = len(targets)
        self._triage.within = Subset(f"{count:,} target{'s' * (count != 1)} of the lasso", targets)

    def _on_label(self, event: object) -> None:
        if self.colour.value == "class":
            self._colour()

    def _colour(self) -> None:
        if self.plot is not None:
            self.plot.colour(self._colouring())

    def _colouring(self) -> Colouring:
        assert self.plot is not None
        match self.colour.value:
            case "redshift":
                return by_number("redshift", self._facts["redshift"])
            case "class":
                labels = [self._desk.label_of(str(target)).label_class for target in self.plot.targets]
                return by_class(labels, self._desk.classes)
        return by_number("log p (nat)", self._facts["log_prob"])

    def _say(self, words: str) -> None:
        self.words.object = _words(words)

    def __panel__(self) -> pn.viewable.Viewable:
        return self.panel


def _words(words: str) -> str:
    style = "color:var(--imo-muted);font-size:calc(12px * var(--imo-type, 1));padding:6px 4px 0;line-height:1.3"
    return f'<div style="{style}" role="status" data-latent>{escape(words)}</div>'
