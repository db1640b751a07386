"""The page in a real Chromium, served by a real `imo serve` with a narrow random model."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.browser import Gate, serving, visit, write_desi_model
from helpers.galaxies import FAR, FULL, HALPHA, REDSHIFT, SPARE, UNSCORED, write_galaxies

from app.computing.events import Settings
from app.findings.precomputed import DEMO_RESULTS
from app.plots.colours import DARK, LIGHT
from app.state.workspace import IDLE_TARGETS
from app.survey.survey import DEMO_CATALOGUE, DEMO_SPECTRA
from imo_engine.attribution.occlusion import PAPER_WINDOW_SIZES, inverse_multiscale_occlusion
from imo_engine.errors import ImoError
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.ranking.ranking import read_catalogue
from imo_engine.readers import read_spectra
from imo_engine.spectra.spectral_lines import ABSORPTION_LINES, EMISSION_LINES, line_view
from imo_engine.system.embedded import EMBEDDED_MODEL, embedded_file

pytestmark = pytest.mark.browser

SHARED = Path(__file__).parents[3] / "shared" / "data"
N_BASELINES = 2
PANELS = ["spectrum", "combined", "map", "w256", "w64", "w16", "w4", "w1"]

FLUX_AXIS = "() => Bokeh.documents[0].get_model_by_name('imo-spectrum').left[0].axis_label"

# Keeps, frame by frame, which target the page names and draws, what it says of it, and a few values of it
WATCH = """
(pixels) => {
  const models = [...Bokeh.documents[0]._all_models.values()]
  const source = (...names) => models.find((m) => m.type === "ColumnDataSource" &&
    names.every((name) => m.data[name] !== undefined) && m.data.rank === undefined)
  const attribution = source("combined"), target = source("z", "id")
  function* roots(node) {
    yield node
    for (const element of node.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot)
  }
  const everywhere = [...roots(document)]
  const find = (selector) => {
    for (const root of everywhere) { const found = root.querySelector(selector); if (found) return found }
  }
  const pick = (column) => pixels.map((i) => {
    const value = attribution.data[column][i]
    return Number.isFinite(value) ? value : null
  })
  window.watched = []
  let before = ""
  const look = () => {
    const now = {
      named: find(".strip .id")?.textContent, drawn: target.data.id[0], status: find("[data-status]")?.dataset.status,
      w256: pick("w256"), w64: pick("w64"), combined: pick("combined"),
    }
    const text = JSON.stringify(now)
    if (text !== before) window.watched.push(now)
    before = text
    requestAnimationFrame(look)
  }
  look()
}
"""

COUNT_ROWS = """
(wanted) => {
  function* roots(node) {
    yield node
    for (const element of node.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot)
  }
  return [...roots(document)].flatMap((root) => [...root.querySelectorAll(".tabulator-row")]).length === wanted
}
"""


# Where panels that are shown end, in pixels from the window's upper edge
BOTTOMS = """
() => [...Bokeh.documents[0]._all_models.values()]
  .filter((m) => m.type === "Figure" && m.name?.startsWith("imo-") && m.visible)
  .map((m) => Bokeh.index.find_one(m)?.el.getBoundingClientRect()).filter((box) => box?.height)
  .map((box) => Math.round(box.bottom))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey")
    write_desi_model(folder)
    write_galaxies(folder)
    return folder


@pytest.fixture(scope="module")
def gates(folder):
    return Gate(folder)


@pytest.fixture
def gate(gates):
    """Keeps what the test's server computes from coming to an end while it is closed."""
    yield gates
    gates.open()


@pytest.fixture(scope="module")
def server(folder, gates, browser):  # after the browser, whose start does not count
    """Serves galaxies made here and, where they are, real files."""
    real = [
        SHARED / "desi" / "coadd-4-80613-thru20210324.fits",
        SHARED / "desi" / "coadd-sv3-dark-26065.fits",
        SHARED / "sdss" / "test_spectrum_1.fits",
    ]
    files = [folder / "coadd-galaxies.fits", *(path for path in real if path.exists())]
    spectra = [part for file in files for part in ("--spectra", file)]
    given = "--model", folder / "narrow.safetensors", "--device", "cpu", "--n-baselines", N_BASELINES, "--no-ahead"
    with serving(*spectra, *given, threads=1, gate=gates) as server:
        yield server


@pytest.fixture(scope="module")
def visits():
    """Every page that was opened."""
    return []


@pytest.fixture(scope="module")
def first_visit(server, browser, visits):
    """The first page that is opened, and the seconds until a spectrum is on it."""
    opened = time.monotonic()
    seen = visit(browser, server.url)
    seen.wait_for_values("flux")
    visits.append(seen)
    now = time.monotonic()
    return seen, {"first paint after imo serve": now - server.started, "after opening the page": now - opened}


@pytest.fixture(scope="module")
def page(first_visit):
    """One page, which the tests use one after the other."""
    return first_visit[0]


@pytest.fixture(scope="module")
def fresh(page):
    """Galaxies that nobody has asked to explain; the page began with the first of the table."""
    first = page.page.locator(".tabulator-row").first.inner_text().split()[1]
    return iter([target for target in SPARE if target != first])


def expected(folder, target):
    """What the engine finds for one of the galaxies."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = OutlierModel.load(folder / "narrow.safetensors", device="cpu")
        pool = BaselinePool.load(folder / "baselines.safetensors", model)
        spectra = read_spectra(folder / "coadd-galaxies.fits")
        one = spectra[[spectra.row(target)]]
        return inverse_multiscale_occlusion(
            model,
            model.prepare(one)[0],
            one.redshift[0],
            pool.draw(N_BASELINES, seed=0),
            weights=Settings().weights,
            valid=one.measured[0],
        )
    finally:
        torch.set_num_threads(threads)


def test_first_paint(first_visit, record_property):
    """The first of the table is there without a click; how soon depends on the machine."""
    page, seconds = first_visit
    record_property("measured", ", ".join(f"{name}: {value:.1f} s" for name, value in seconds.items()))
    page.until(lambda: page.shown_target() == page.column("z", "id")[0])
    assert page.page.locator(".tabulator-row").first.inner_text().split()[:2] == ["1", page.shown_target()]


def test_all_that_is_to_be_replaced_of_bokeh_is_and_python_is_told(page):
    page.page.wait_for_function("() => window.imo.patches['ClientConnection.send'] !== undefined")
    patches = page.page.evaluate("window.imo.patches")
    assert {name: why for name, why in patches.items() if why is not True} == {}
    assert {"BitSet.select", "LineView._index_size", "LineView._paint", "PlotView.base_font_size"} < set(patches)
    page.until(lambda: any(isinstance(one, str) and '"patches"' in one for one in page.sent))


class TestSelecting:
    def test_a_row_fills_every_panel(self, page):
        page.show(FULL)
        page.wait_for_values("flux")
        page.wait_for_status("done")
        figures = {name: figure for name, figure in page.figures().items() if name != "residual"}  # off at first
        assert list(figures) == PANELS
        measured = np.isfinite(page.column("flux", "flux")).sum()
        assert measured > 7000
        for name, figure in figures.items():
            assert figure["filled"], name
            curves = {column: count for column, count in figure["filled"].items() if not column.startswith("leader:")}
            for column, count in curves.items():
                assert count >= 0.99 * measured, (name, column)
            assert figure["y"][0] < figure["y"][1], name
        image = page.column("image", "image")
        assert image.shape == (5, 7781)
        assert (np.isfinite(image).sum(axis=1) >= 0.98 * measured).all()
        assert page.column("baseline", "baseline").shape == (N_BASELINES, 7781)

    def test_another_click_on_the_row_changes_nothing(self, page):
        page.show(FULL)
        page.wait_for_status("done")
        page.select(FULL)
        page.show(FULL)
        assert page.status() == "done"
        assert page.page.locator(".tabulator-row.tabulator-selected").inner_text().split()[1] == FULL

    def test_rows_keep_their_target_when_filtered(self, page):
        """By an identifier that differs from others in its last digit only."""
        rows = page.page.locator(".tabulator-row")
        everything = rows.count()
        search = page.page.locator(".imo-search input")
        search.press_sequentially(FAR)  # as it is typed
        page.page.wait_for_function(COUNT_ROWS, arg=1)
        page.show(FAR)
        assert page.column("z", "z")[0] == pytest.approx(REDSHIFT[FAR])
        search.fill("")
        search.press("Enter")
        page.page.wait_for_function(COUNT_ROWS, arg=everything)
        page.show(FULL)
        assert page.column("z", "z")[0] == pytest.approx(REDSHIFT[FULL])

    def test_rows_keep_their_target_when_sorted(self, page):
        rows = page.page.locator(".tabulator-row")
        header = page.page.locator('.tabulator-col[tabulator-field="z"]')
        for direction in ("ascending", "descending"):
            header.locator(".tabulator-col-title").click()
            page.page.locator(f'.tabulator-col[tabulator-field="z"][aria-sort="{direction}"]').wait_for()
            target = FAR if direction == "ascending" else FULL
            page.show(target)
            assert page.column("z", "z")[0] == pytest.approx(REDSHIFT[target])
            assert page.page.locator(".tabulator-row.tabulator-selected").inner_text().split()[1] == target
            shown = [row.split()[1] for row in rows.all_inner_texts() if row.split()[1] in REDSHIFT]
            assert shown == sorted(REDSHIFT, key=REDSHIFT.get, reverse=direction == "descending")
        page.page.locator('.tabulator-col[tabulator-field="rank"] .tabulator-col-title').click()
        page.page.locator('.tabulator-col[tabulator-field="rank"][aria-sort="ascending"]').wait_for()


class TestSuperseding:
    def test_nothing_of_the_first_appears_under_the_second(self, page, folder, fresh, gate):
        racing, overtaking = next(fresh), next(fresh)
        gate.close()
        page.show(racing)
        page.wait_for_values("w256")
        page.wait_for_status("computing")
        pixels = list(range(500, 7781, 700))
        page.page.evaluate(WATCH, pixels)
        gate.close(after=1)  # while the click is on its way, the first one goes on, but not to its end
        page.show(overtaking)
        truth = expected(folder, overtaking)
        gate.open()
        page.wait_for_status("done")
        watched = page.page.evaluate("() => window.watched")

        assert watched[0]["named"] == racing and watched[-1]["named"] == overtaking
        assert any(value is not None for value in watched[0]["w256"])
        first = [frame for frame in watched if racing in (frame["named"], frame["drawn"])]
        second = [frame for frame in watched if overtaking in (frame["named"], frame["drawn"])]
        assert "done" not in {frame["status"] for frame in first}
        for column, row in (("w256", PAPER_WINDOW_SIZES.index(256)), ("w64", PAPER_WINDOW_SIZES.index(64))):
            right = truth.mean[row, pixels]
            for frame in second:
                found = np.array(frame[column], float)
                there = np.isfinite(found)
                np.testing.assert_allclose(
                    found[there], right[there], atol=1e-3 * np.abs(right).max(), err_msg=f"{column} of {frame}"
                )

        for column, values in (
            ("combined", truth.combined),
            ("combined_lower", truth.combined - truth.combined_scatter),
            *((f"w{size}", truth.mean[row]) for row, size in enumerate(PAPER_WINDOW_SIZES)),
        ):
            atol = 1e-3 * np.nanmax(np.abs(values))
            np.testing.assert_allclose(page.column("combined", column), values, atol=atol, err_msg=column)
        drawn = np.array(page.column("baseline", "baseline"), float)  # without the ends that have no meaning
        assert drawn.shape[1] > 7700
        np.testing.assert_allclose(drawn, truth.baselines[:, : drawn.shape[1]], atol=1e-5)
        ratio = truth.signal_to_scatter[np.argsort(PAPER_WINDOW_SIZES)]
        close = np.isclose(page.column("image", "image"), ratio, rtol=0.05, atol=0.05)
        assert close.mean() > 0.95  # where two baselines agree by chance the ratio is mostly rounding
        np.testing.assert_array_equal(page.column("flux", "flux"), np.where(truth.valid, truth.flux, np.nan))
        assert "Exact" in page.page.locator("[data-status] .words").inner_text()

    def test_going_back_finds_what_was_computed(self, page, gate):
        page.show(FULL)
        page.wait_for_status("done")
        page.page.get_by_role("button", name="Cancel").wait_for(state="hidden")
        before = page.column("combined", "combined")
        page.show(UNSCORED)
        page.wait_for_status("unscored")
        gate.close()  # computed again, it would not be done
        page.show(FULL)
        page.wait_for_status("done")
        np.testing.assert_array_equal(page.column("combined", "combined"), before)


class TestViews:
    def test_line_buttons_zoom_every_panel_and_undo_goes_back(self, page):
        page.show(FULL)
        page.wait_for_status("done")
        page.press("view", "full")
        whole = page.x_range()
        assert whole[0] < 3600 and whole[1] > 9824
        visited = [whole]
        for name, rest in {"halpha": HALPHA, "oii": 3728.5, "hbeta": 5008.24, "nad": 5893.0}.items():
            page.press("view", name)
            low, high = page.x_range()
            view = line_view(name)
            assert (low, high) == pytest.approx((1.1 * view.low, 1.1 * view.high))
            assert low < rest * 1.1 < high
            visited.append((low, high))
        page.press("view", "full")
        assert page.x_range() == whole
        for before in reversed(visited):
            page.page.get_by_role("button", name="Undo zoom").click()
            assert page.x_range() == before

    def test_the_flux_axis_follows_what_is_visible(self, page):
        page.show(FULL)
        page.press("view", "full")
        flux, wave = page.column("flux", "flux"), page.column("flux", "x")
        for name in ("nad", "halpha"):
            page.press("view", name)
            low, high = page.x_range()
            visible = flux[(wave > low) & (wave < high)]
            page.page.wait_for_function(
                """([least, most]) => {
                  const models = [...Bokeh.documents[0]._all_models.values()]
                  const range = models.find((m) => m.name === "imo-spectrum").y_range
                  return range.end > most && range.end < 2 * most && range.start < least
                }""",
                arg=[float(np.nanquantile(visible, 0.01)), float(np.nanmax(visible))],
            )

    def test_another_target_is_shown_whole(self, page):
        page.show(FULL)
        page.press("view", "full")
        whole = page.x_range()
        page.press("view", "halpha")
        page.show(FAR)
        assert page.x_range() == whole

    def test_more_panels_and_large_type_fit_a_small_projector(self, page):
        page.show(FULL)
        page.page.set_viewport_size({"width": 1280, "height": 720})
        try:
            page.page.keyboard.press("e")  # with the residual and the second view
            page.page.keyboard.press("g")
            page.until(lambda: "residual" in page.figures())
            page.until(lambda: max(page.page.evaluate(BOTTOMS)) <= 720)
            page.page.keyboard.press("T")
            page.page.locator('input[data-switch="large_type"]:checked').wait_for(state="attached")
            page.until(lambda: max(page.at_rest(lambda: page.page.evaluate(BOTTOMS))) <= 720)
        finally:
            page.page.set_viewport_size({"width": 1440, "height": 900})
            for key in "egT":
                page.page.keyboard.press(key)

    def test_a_view_outside_the_spectrum_says_so(self, page):
        page.show(FAR)
        before = page.x_range()
        page.page.locator('button[data-value="halpha"]').click()
        page.page.locator("[data-readout]", has_text="outside this spectrum").wait_for()
        assert page.x_range() == before

    def test_frame_switch_changes_axes_and_not_the_view(self, page):
        def seen(figure):
            shown = {one["label"].split()[0] for one in figure["axes"] if one["visible"]}
            return {name: name in shown for name in ("observed", "rest-frame")}

        def axes(figures):
            return seen(figures["spectrum"]), seen(figures["w1"])

        page.show(FULL)
        page.press("view", "hbeta")
        before = page.x_range()
        top, bottom = axes(page.figures())
        assert bottom == {"observed": True, "rest-frame": False}
        assert top == {"observed": False, "rest-frame": True}
        page.press("frame", "rest")
        top, bottom = axes(page.figures())
        assert bottom == {"observed": False, "rest-frame": True}
        assert top == {"observed": True, "rest-frame": False}
        assert page.x_range() == before
        page.switch_off("frame")
        assert axes(page.figures())[1] == {"observed": True, "rest-frame": False}
        assert page.x_range() == before

    def test_nothing_of_it_reaches_the_server(self, page):
        page.show(FULL)
        page.wait_for_status("done")
        page.press("view", "full")
        box = page.page.locator(".bk-Figure").first.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.page.mouse.move(x + 5, y)  # out of the table
        page.page.locator(".why .sentence").wait_for()
        before, whole = page.quiet(), page.x_range()
        for name in ("halpha", "oii", "hbeta", "nad"):
            page.press("view", name)
        page.page.get_by_role("button", name="Undo zoom").click()
        page.press("frame", "rest")
        page.switch_off("frame")
        page.press("view", "full")
        page.page.mouse.move(x, y)
        page.page.mouse.wheel(0, -300)
        page.wait_for_other_range(whole)
        wheeled = page.x_range()
        page.page.mouse.down()
        page.page.mouse.move(x + 150, y, steps=3)
        page.page.mouse.up()
        page.wait_for_other_range(wheeled)
        page.page.mouse.dblclick(x, y)
        page.quiet()
        assert page.sent[before:] == []


class TestLineMarkers:
    @staticmethod
    def check(page, z):
        markers = page.lines()
        rest = {line.name: line.wavelength for line in (*EMISSION_LINES, *ABSORPTION_LINES)}
        assert markers.keys() == rest.keys()
        for name, wavelength in rest.items():
            assert markers[name] == pytest.approx(wavelength * (1 + z), abs=0.01), name
        page.press("view", "halpha")
        low, high = page.x_range()
        wave, flux = page.column("flux", "x"), page.column("flux", "flux")
        visible = (wave > low) & (wave < high)
        brightest = wave[visible][np.nanargmax(flux[visible])]
        assert brightest == pytest.approx(markers["Hα"], abs=3.0)
        # and its name is written there
        texts = dict(zip(page.column("rest", "name"), page.column("rest", "text"), strict=True))
        assert texts["Hα"] == "Hα"
        page.press("view", "full")

    def test_of_a_made_galaxy(self, page):
        page.show(FULL)
        self.check(page, REDSHIFT[FULL])

    @pytest.mark.parametrize(
        ("target", "z"), [("39633345008634465", 0.36874), ("285-51930-309", 0.06456)], ids=["DESI", "SDSS"]
    )
    def test_of_a_real_galaxy(self, page, shared_data, target, z):
        """At the redshift that redrock, and the SDSS pipeline, found."""
        page.show(target)
        found = page.column("z", "z")[0]
        assert found == pytest.approx(z, abs=1e-5)
        self.check(page, found)


class TestUnscored:
    def empty(self, page, target, *words):
        page.show(target)
        page.wait_for_status("unscored")
        text = page.page.locator("[data-status] .words").inner_text()
        for word in ("Not scored", *words):
            assert word in text
        assert np.isnan(page.column("combined", "combined")).all()
        assert np.isnan(page.column("image", "image")).all()
        assert np.isnan(page.column("baseline", "baseline")).all()

    def rest_axis(self, page):
        (label,) = {one["label"] for one in page.figures()["spectrum"]["axes"] if "rest-frame" in one["label"]}
        return label

    def test_without_redshift(self, page):
        self.empty(page, UNSCORED, "redshift")
        assert np.isfinite(page.column("flux", "flux")).sum() > 7000
        page.page.locator('button[data-value="halpha"]').click()
        page.page.locator("[data-readout]", has_text="redshift is not known").wait_for()
        assert self.rest_axis(page) == "rest-frame wavelength: the redshift is not known"
        assert page.page.evaluate(FLUX_AXIS) == "flux, not normalised"
        page.show(FULL)
        assert self.rest_axis(page) == "rest-frame wavelength (Å, vacuum)"
        assert page.page.evaluate(FLUX_AXIS) == "normalised flux"
        page.wait_for_status("done")

    def test_without_any_measured_pixel(self, page, shared_data):
        self.empty(page, "-2713437", "no measured pixel")
        assert np.isnan(page.column("flux", "flux")).all()
        page.show(FULL)
        page.wait_for_status("done")
        assert np.isfinite(page.column("flux", "flux")).any()


class TestCancelling:
    def test_keeps_what_is_finished_and_can_be_repeated(self, page, fresh, gate):
        gate.close()
        page.show(next(fresh))
        page.wait_for_values("w256")
        page.page.get_by_role("button", name="Cancel").click()
        page.wait_for_status("stopped")
        assert np.isfinite(page.column("combined", "w256")).all()
        assert np.isfinite(page.column("combined", "combined")).all()
        assert np.isnan(page.column("combined", "w1")).all()
        page.press("view", "halpha")
        view = page.x_range()
        page.page.get_by_role("button", name="Compute again").click()
        page.wait_for_status("computing")
        page.page.get_by_role("button", name="Cancel").wait_for()
        gate.open()
        page.wait_for_values("w4")
        page.wait_for_status("done")
        assert page.x_range() == view  # only another target sets it back


class TestTheme:
    def test_the_selected_row_has_the_colour_of_what_was_chosen(self, page):
        page.show(FULL)
        accent = page.page.evaluate("() => getComputedStyle(document.documentElement).getPropertyValue('--imo-accent')")
        channels = [int(accent.strip()[k : k + 2], 16) for k in (1, 3, 5)]
        row = page.page.locator(".tabulator-row.tabulator-selected")
        page.until(
            lambda: (
                row.evaluate("(row) => getComputedStyle(row).backgroundColor")
                == f"rgb({', '.join(map(str, channels))})"
            )
        )

    def test_the_button_repaints_the_plots(self, page):
        page.show(FULL)
        assert {figure["text"] for figure in page.figures().values()} == {LIGHT.text}
        switch = page.page.get_by_label("Toggle theme")
        for colours in (DARK, LIGHT):
            switch.click()
            page.page.wait_for_function(
                """(text) => [...Bokeh.documents[0]._all_models.values()].filter((m) => m.name?.startsWith("imo-"))
                  .every((figure) => figure.left[0].major_label_text_color === text)""",
                arg=colours.text,
            )

    def test_a_dark_page_can_be_asked_for(self, server, browser, visits):
        seen = visit(browser, f"{server.url}?theme=dark")
        visits.append(seen)
        assert {figure["text"] for figure in seen.figures().values()} == {DARK.text}
        seen.page.close()


def test_the_demo_says_that_it_is_simulated(browser, tmp_path):
    try:
        catalogue = read_catalogue(embedded_file(DEMO_CATALOGUE))
        embedded_file(DEMO_SPECTRA), embedded_file(EMBEDDED_MODEL), embedded_file(DEMO_RESULTS)
    except ImoError as error:
        pytest.skip(str(error))
    by_rank = catalogue["target_id"][np.argsort(catalogue["log_prob"])]
    gate = Gate(tmp_path)
    gate.close()
    with serving("--device", "cpu", gate=gate) as server:
        seen = visit(browser, server.url)
        seen.wait_for_values("flux")
        assert seen.page.get_by_text("Simulated data").is_visible()
        seen.until(lambda: seen.shown_target() == by_rank[0])
        seen.wait_for_status("done")  # its results ship with the demo
        assert "Precomputed" in seen.page.locator("[data-status] .words").inner_text()
        search = seen.page.locator(".imo-search input")
        search.fill(by_rank[IDLE_TARGETS + 50])
        search.press("Enter")
        seen.page.wait_for_function(COUNT_ROWS, arg=1)
        seen.show(by_rank[IDLE_TARGETS + 50])
        seen.wait_for_status("computing")  # those of most others do not
        assert (seen.errors, seen.outside) == ([], [])
        seen.page.close()
    assert "Traceback" not in server.log and "ERROR" not in server.log


def test_nothing_went_wrong_meanwhile(server, page, visits):
    """Runs last: what the server and the pages said during the tests above."""
    for word in ("ERROR", "Traceback", "xception"):
        assert word not in server.log, server.log
    for seen in visits:
        assert seen.requests
        assert (seen.errors, seen.outside) == ([], [])
    assert server.process.poll() is None
