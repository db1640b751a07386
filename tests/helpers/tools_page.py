"""The plots and their toolbar on a page of their own, with made spectra: python tests/helpers/tools_page.py.

Prints its address, then a line for everything that the browser tells Python.
"""

import json
import sys
from pathlib import Path

import numpy as np
import panel as pn
from bokeh.models import ColumnDataSource, CustomJS

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.browser.client import BrowserCode
from app.plots.colours import DARK, LIGHT  # noqa: E402
from app.plots.sources import PlotSources  # noqa: E402
from app.plots.stack import PlotStack  # noqa: E402
from app.views.spectrum.toolbar import toolbar  # noqa: E402
from imo_engine.attribution.record import RECOMMENDED_WEIGHTING, Attribution  # noqa: E402
from imo_engine.reasons.significance import Significance  # noqa: E402
from imo_engine.spectra.instrument import desi_wavelength  # noqa: E402
from imo_engine.spectra.spectra import Spectra  # noqa: E402
from imo_engine.spectra.spectral_lines import EMISSION_LINES  # noqa: E402

WINDOWS = (1, 4, 16, 64, 256)
N_BASELINES = 8
REDSHIFTS = (0.32, 0.1, 0.55, np.nan)
MASKED = slice(3000, 3040)


def made_spectra() -> Spectra:
    """Return emission-line galaxies with a masked stretch; the last one has no redshift and no known instrument."""
    rng = np.random.default_rng(1)
    wave = desi_wavelength()
    n = len(REDSHIFTS)
    flux = np.ones((n, len(wave)))
    for row, z in enumerate(REDSHIFTS):
        for line in EMISSION_LINES:
            centre = line.wavelength * (1 + np.nan_to_num(z, nan=0.25))
            height = 10 if line.name == "Hα" else 3 if line.major else 0.5
            flux[row] += height * np.exp(-0.5 * ((wave - centre) / 2.5) ** 2)
    sigma = np.where(wave < 4200, 0.6, 0.15)
    flux += rng.normal(0, 1, flux.shape) * sigma
    measured = np.ones(flux.shape, bool)
    measured[:, MASKED] = False
    ivar = np.where(measured, 1 / sigma**2, 0)
    return Spectra(
        wavelength=wave,
        flux=np.where(measured, flux, 0).astype(np.float32),
        ivar=ivar.astype(np.float32),
        measured=measured,
        redshift=np.array(REDSHIFTS),
        target_id=np.array([f"made-{row}" for row in range(n)]),
        ra=np.full(n, np.nan),
        dec=np.full(n, np.nan),
        norm=np.ones(n),
        problem=np.array([""] * n),
        note=np.array([""] * n),
        source=np.array(["made"] * n),
        instrument=np.array(["DESI", "BOSS", "DESI", ""]),
        spectype=np.array(["GALAXY"] * n),
        zwarn=np.zeros(n, np.int64),
        objtype=np.array(["TGT"] * n),
    )


def made_attribution(spectra: Spectra, row: int) -> Attribution:
    """Return something that peaks where the lines are; only its shape matters."""
    rng = np.random.default_rng(row)
    excess = spectra.flux[row] - 1
    values = []
    for size in WINDOWS:
        smooth = np.convolve(excess, np.ones(size) / size, "same")
        values.append(smooth * rng.normal(1, 0.2, (N_BASELINES, 1)) + rng.normal(0, 0.01, (N_BASELINES, len(excess))))
    return Attribution(
        values=np.array(values),
        baselines=(1 + rng.normal(0, 0.1, (N_BASELINES, len(excess)))).astype(np.float32),
        baseline_log_prob=np.zeros(N_BASELINES),
        flux=spectra.flux[row],
        redshift=float(np.nan_to_num(spectra.redshift[row])),
        wavelength=spectra.wavelength,
        valid=spectra.measured[row],
        window_sizes=WINDOWS,
        offsets=(0,) * len(WINDOWS),
        strides=WINDOWS,
    )


def made_significance(attribution: Attribution) -> Significance:
    """Return p = 0.01 where a map is above half of its highest value, and 0.5 elsewhere."""

    def p(curves: np.ndarray) -> np.ndarray:
        high = curves > 0.5 * np.nanmax(curves, axis=-1, keepdims=True)
        return np.where(np.isfinite(curves), np.where(high, 0.01, 0.5), np.nan)

    every, combined = p(attribution.mean), p(attribution.combined)
    return Significance(every, every, combined, combined, np.full(len(WINDOWS), 0.01), 99)


SPECTRA = made_spectra()
ATTRIBUTIONS = [made_attribution(SPECTRA, row) for row in range(len(SPECTRA))]
SIGNIFICANCES = [made_significance(one) for one in ATTRIBUTIONS[:-1]] + [None]
WHY_NOT = "no null distribution for this model"
RECONSTRUCTIONS = np.where(SPECTRA.measured, SPECTRA.flux, 1) * 0.9


def tell(kind: str, value: object = None) -> None:
    """Say what Python heard."""
    print("HEARD " + json.dumps([kind, value]), flush=True)


def page() -> pn.viewable.Viewable:
    """Return the page of a new session."""
    document = pn.state.curdoc
    dark = pn.state.session_args.get("theme", [b""])[0] == b"dark"
    colours = DARK if dark else LIGHT
    sources = PlotSources(SPECTRA.wavelength, WINDOWS, N_BASELINES)
    stack = PlotStack(sources)
    stack.paint(colours)
    browser = BrowserCode(stack)
    browser.attach(document)
    row, large = 0, False

    def show_rest() -> None:
        sources.show_attribution(ATTRIBUTIONS[row], SIGNIFICANCES[row], WHY_NOT)
        sources.show_reconstruction(RECONSTRUCTIONS[row])
        z = np.nan_to_num(SPECTRA.redshift[row])
        sources.show_features([
            (6540 * (1 + z), 6590 * (1 + z), "Hα", "source"),
            (7592.0, 7700.0, "O2 A", "instrument"),
            (7702.0, 7720.0, "beside it", "unclear"),
        ])  # fmt: skip

    def show() -> None:
        sources.show_spectrum(SPECTRA, row)
        document.add_next_tick_callback(show_rest)

    def on_key(action: str) -> None:
        nonlocal row, large
        tell("key", action)
        if action in ("next", "previous"):
            row = (row + (1 if action == "next" else -1)) % len(SPECTRA)
            show()
        if action == "large-type":
            large = not large
            stack.paint(colours, large=large)
        if action == "undo-label":
            stack.clear_brush()
        if action == "star":  # computed again
            show_rest()
        if action == "search":  # as if it were to be computed again
            sources.show_spectrum(SPECTRA, row)

    browser.on_key(on_key)
    browser.on_brush(lambda low, high: tell("brush", [low, high]), lambda: tell("cleared"))
    # a mark goes to Python and back, so that everything that was sent before it has arrived
    marks, marked = ColumnDataSource({"mark": [""]}), ColumnDataSource({"marked": [""]})
    stack.axes.wavelength.js_on_change("name", CustomJS(args={"marks": marks, "marked": marked}, code=""))

    def on_mark(attr: str, old: object, new: dict[str, list[str]]) -> None:
        tell("mark", new["mark"][0])
        marked.data = {"marked": new["mark"]}

    marks.on_change("data", on_mark)
    pn.state.onload(show)
    style = (
        f"--imo-text:{colours.text};--imo-muted:{colours.muted};--imo-line:{colours.grid};--imo-accent:{colours.window};"
        f"--imo-surface:{colours.background};--imo-hover:{colours.grid};--imo-warning:{colours.combined};"
        f"--imo-on-accent:{colours.background};--imo-background:{colours.background}"
    )
    return pn.Column(
        pn.widgets.TextInput(name="field", css_classes=["imo-comment"]),
        toolbar(WINDOWS, RECOMMENDED_WEIGHTING),
        pn.pane.Bokeh(stack.layout, sizing_mode="stretch_both", margin=0, min_height=420),
        sizing_mode="stretch_both",
        styles={"height": "98vh"},
        stylesheets=[f":host {{{style}; background: {colours.background}}}"],
    )


def main() -> None:
    """Serve until stopped."""
    server = pn.serve(page, port=0, show=False, start=False, address="127.0.0.1", threaded=False)
    print(f"made spectra at http://127.0.0.1:{server.port}/", flush=True)
    server.io_loop.start()


if __name__ == "__main__":
    main()
