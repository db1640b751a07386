"""The selected object as files: attribution as table and netCDF, figures, and a page that stands alone."""

import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import panel as pn

from app.exports.standalone import StandaloneObject, standalone_html
from app.state.session import Session
from app.views.downloads import Downloads
from imo_engine.attribution.record import Attribution
from imo_engine.errors import InputError
from imo_engine.reasons.significance import Significance, significance_or_why
from imo_engine.results.ecsv import write_attribution_table
from imo_engine.results.figure_files import FIGURE_SUFFIXES, write_figure
from imo_engine.spectra.noise import noise_variables
from imo_engine.spectra.spectra import Spectra
from imo_engine.spectra.spectral_lines import line_view

__all__ = ["ObjectDownloads"]


class ObjectDownloads(pn.viewable.Viewer):
    """Buttons that can be pressed once the attribution is complete; files are made when they are asked for."""

    def __init__(
        self, session: Session, dark: Callable[[], bool], seen: Callable[[], bool], style: dict[str, Any]
    ) -> None:
        """Build the buttons in the given style; files have the methods and the repair that are complete on the page.

        They change in turn with everything else that is scheduled (see ``ProgressStrip``), and only while they are
        ``seen``; :meth:`update` before they are.
        """
        super().__init__()
        target, schedule = session.target, session.schedule
        self._session, self._desk, self._methods, self._repairs = (
            target,
            session.labels,
            session.methods,
            session.repair,
        )
        self._dark = dark
        self.downloads = Downloads(
            ("Attribution, ECSV", self._ecsv, "attribution.ecsv"),
            ("Attribution, netCDF", self._netcdf, "attribution.nc"),
            ("Plots, HTML", self._html, "attribution.html"),
            *(
                (f"Figure, {end[1:].upper()}", partial(self._figure, end), f"attribution{end}")
                for end in FIGURE_SUFFIXES
            ),
            disabled=True,
            **style,
        )
        target.param.watch(lambda _: schedule(self.update) if seen() else None, "status")

    def update(self) -> None:
        """Let them be pressed if the attribution is complete, and name the files after the target."""
        ready = self._session.attribution is not None
        for ending, button in self.downloads.buttons.items():
            if button.disabled == ready:
                button.disabled = not ready
            if ready:
                button.filename = f"attribution-{_plain(self._session.target_id)}.{ending}"

    def _selected(self) -> tuple[Attribution, Spectra]:
        session = self._session
        if session.attribution is None:
            raise InputError("another target was selected meanwhile; press again when it is complete")
        spectra = session.survey.spectra
        return session.attribution, spectra[[spectra.row(session.target_id)]]

    def _ecsv(self) -> io.BytesIO:
        attribution, spectrum = self._selected()
        survey = self._session.survey
        log_prob = float(survey.log_prob[survey.spectra.row(self._session.target_id)])
        more: dict[str, Any] = {"seed": self._session.settings.seed, "log_prob": log_prob, **self._repaired()}
        known, more["significance"] = self._significance(attribution)
        return _written(
            lambda path: write_attribution_table(path, attribution, spectrum, settings=more, significance=known)
        )

    def _netcdf(self) -> io.BytesIO:
        attribution, spectrum = self._selected()
        known, words = self._significance(attribution)
        note = {**attribution.provenance, "target_id": str(spectrum.target_id[0]), "significance": words}
        note |= self._repaired()
        more = noise_variables(spectrum) | ({} if known is None else known.variables())
        return _written(lambda path: replace(attribution, provenance=note).to_netcdf(path, more))

    def _significance(self, attribution: Attribution) -> tuple[Significance | None, str]:
        """Return p-values, if there are any, and where they come from or why there are none."""
        known, why_not = significance_or_why(attribution, self._session.survey.engine.null())
        return known, why_not or f"p-values from {known.ordinary if known else 0} ordinary spectra"

    def _repaired(self) -> dict[str, Any]:
        found = self._repairs.state.found
        return {} if found is None else {"repair": json.dumps(found.repair.to_dict())}

    def _html(self) -> io.BytesIO:
        attribution, spectrum = self._selected()
        session, target = self._session, self._session.target_id
        survey = session.survey
        row = survey.spectra.row(target)
        rank = survey.own_rank(target)
        facts = [("−log p", f"{-survey.log_prob[row]:.1f}")]
        if rank and target in survey.candidates:
            facts.insert(0, ("would be", str(rank)))
        elif rank:
            facts.insert(0, ("rank", str(rank).removeprefix("rank ")))
        shown = StandaloneObject(
            spectrum=spectrum,
            attribution=attribution,
            reason=session.reason,
            repaired=self._repairs.state.found,
            label=self._desk.label_of(target),
            scanner=self._desk.scanner,
            facts=facts,
            simulated=survey.simulated and target not in survey.candidates,
        )
        return io.BytesIO(standalone_html(shown, dark=self._dark()).encode())

    def _figure(self, suffix: str) -> io.BytesIO:
        from imo_engine.results.figures import HALPHA, draw_attribution, figure_title

        attribution, _ = self._selected()
        survey, target = self._session.survey, self._session.target_id
        log_prob = float(survey.log_prob[survey.spectra.row(target)])
        title = figure_title(target, attribution.redshift, log_prob)
        reached = HALPHA[1] * (1 + attribution.redshift) < attribution.wavelength[-1]
        drawing = draw_attribution(
            attribution,
            self._methods.finished,
            zoom=HALPHA if reached else None,
            zoom_label=line_view("halpha").label,
            title=title,
        )
        return _written(lambda path: write_figure(drawing, path), suffix)

    def __panel__(self) -> pn.viewable.Viewable:
        return self.downloads.__panel__()


def _written(write: Callable[[Path], None], suffix: str = "") -> io.BytesIO:
    with tempfile.TemporaryDirectory(prefix="imo-") as folder:
        path = Path(folder) / f"attribution{suffix}"
        write(path)
        return io.BytesIO(path.read_bytes())


def _plain(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in text)[:80]
