"""Asking about ranges, similar outliers, groups and latent space in a real Chromium with a real server."""

import numpy as np
import pytest
from helpers.browser import chromium, serving, visit, write_desi_model
from helpers.fits_files import arms, write_coadd, write_redrock

from imo_engine.spectra.ranges import range_words

pytestmark = pytest.mark.browser

TARGETS = [str(39628000000002000 + k) for k in range(8)]

POINTS = """
() => {
  const figure = [...Bokeh.documents[0]._all_models.values()]
    .find((m) => m.type === "Figure" && m.below?.[0]?.axis_label?.startsWith("PC 1"))
  const view = Bokeh.index.find_one(figure), box = view.canvas.el.getBoundingClientRect()
  const points = figure.renderers[1], here = figure.renderers[2]
  const place = (renderer) => {
    const {glyph, data_source: {data}} = renderer
    const xs = Array.from(data[glyph.x.field]), ys = Array.from(data[glyph.y.field])
    return xs.map((x, k) => [
      box.x + view.frame.x_scale.compute(x), box.y + view.frame.y_scale.compute(ys[k]),
    ])
  }
  return {targets: Array.from(points.data_source.data.target), places: place(points), here: place(here)}
}
"""


# The ranges that are marked as asked about
BRUSHED = """
() => {
  const panel = Bokeh.documents[0].get_model_by_name("imo-spectrum")
  const {low, high} = panel.renderers.find((r) => r.name === "brush").data_source.data
  return Array.from(low, (from, k) => [from, high[k]])
}
"""


DRAWN = """
() => {
  const figure = [...Bokeh.documents[0]._all_models.values()]
    .find((m) => m.type === "Figure" && m.below?.[0]?.axis_label?.startsWith("PC 1"))
  return figure !== undefined && Bokeh.index.find_one(figure)?.frame?.bbox.width > 100
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Emission lines of the same strength at different redshifts, and bad columns at one place in half of them."""
    folder = tmp_path_factory.mktemp("similar")
    write_desi_model(folder)
    data = arms(len(TARGETS), ivar=100.0)
    rng = np.random.default_rng(3)
    redshifts = [0.1 + 0.02 * k for k in range(len(TARGETS))]
    for arm in data.values():
        wave = arm["wavelength"]
        arm["flux"] += rng.normal(0, 0.05, arm["flux"].shape).astype(np.float32)
        for row, z in enumerate(redshifts):
            centre = 7000.0 if row % 2 else 5008.2 * (1 + z)
            arm["flux"][row] += (3 + row) * np.exp(-0.5 * ((wave - centre) / (1 if row % 2 else 6)) ** 2)
    ids = [int(target) for target in TARGETS]
    write_redrock(folder / "redrock-similar.fits", ids, redshifts)
    write_coadd(folder / "coadd-similar.fits", ids, data)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    """One page for all tests, which run in order; every target is explained while it waits."""
    given = [
        "--spectra", folder / "coadd-similar.fits", "--model", folder / "narrow.safetensors", "--device", "cpu",
        "--n-baselines", 2, "--windows", "256,64,16", "--labels", folder / "labels.sqlite", "--user", "ann",
        "--cache", folder / "cache",
    ]  # fmt: skip
    with serving(*given, threads=1) as server, chromium() as browser:
        seen = visit(browser, server.url)
        seen.page.wait_for_function("() => window.imo?.tell !== undefined")
        seen.wait_for_status("done")
        yield seen
        assert (seen.errors, seen.outside) == ([], [])


def test_a_range_is_answered_and_forgotten(page):
    page.page.keyboard.press("Escape")  # should a run before have ended while it asked
    page.press("drag", "ask")
    box = page.page.locator(".bk-Figure").first.bounding_box()
    y = box["y"] + box["height"] / 2
    page.page.mouse.move(box["x"] + 0.4 * box["width"], y)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + 0.5 * box["width"], y, steps=4)
    page.page.locator("[data-ask=answered]").wait_for()  # while the mouse is still down
    page.page.mouse.up()
    answer = page.page.locator("[data-ask=answered]")
    ((low, high),) = page.page.evaluate(BRUSHED)
    assert high > low
    answer.locator("h2", has_text=range_words(low, high)).wait_for()  # and not a range on the way there
    words = answer.inner_text()
    assert "would" in words and "log p" in words and "over 2 baselines" in words
    page.until(lambda: answer.locator("circle").count() == 2 * 2 + 2 + 1)  # the end of the drag asks once more
    page.page.keyboard.press("Escape")
    page.page.locator("[data-ask=idle]").wait_for()


def test_the_view_is_answered_and_another_target_ends_it(page):
    page.page.keyboard.press("Q")
    page.page.locator("[data-ask=answered]").wait_for()
    before = page.shown_target()
    page.page.keyboard.press("n")
    page.page.locator("[data-ask=idle]").wait_for()
    page.until(lambda: page.shown_target() != before)


def test_what_stands_out_is_filled_in_while_nothing_is_asked(page):
    page.page.wait_for_function(
        """(wanted) => {
          function* roots(node) {
            yield node
            for (const one of node.querySelectorAll("*")) if (one.shadowRoot) yield* roots(one.shadowRoot)
          }
          const found = [...roots(document)].flatMap((root) => [...root.querySelectorAll(".tabulator-row .brief")])
          return found.filter((one) => one.textContent !== "").length >= wanted
        }""",
        arg=len(TARGETS),
        polling=200,
    )
    words = page.page.locator("[data-similar-words]")
    words.get_by_text("8 of 8 targets are explained").wait_for()


@pytest.mark.parametrize("way", ["latent", "cause"])
def test_a_click_on_a_neighbour_opens_it(page, way):
    page.page.locator(f'.ways [data-word="{way}"]').click()
    page.until(lambda: page.page.locator(f'.similar[data-similar="{way}"] .one').count() > 0)
    before = page.shown_target()
    page.until(lambda: page.page.locator(f'.similar[data-of="{before}"]').count() == 1)
    neighbour = page.page.locator(".similar .one").first
    wanted = neighbour.get_attribute("data-word")
    assert wanted in TARGETS and wanted != before and neighbour.locator("path").count() == 1
    neighbour.click()
    page.until(lambda: page.shown_target() == wanted)
    page.until(lambda: page.page.locator(f'.similar[data-of="{wanted}"]').count() == 1)


def test_a_group_filters_the_table_and_is_given_up(page):
    page.page.get_by_role("button", name="Groups", exact=True).click()
    group = page.page.locator("[data-groups] .group").first
    number = int(group.locator("b").inner_text().partition(": ")[2].split()[0])
    group.get_by_role("button").click()
    page.until(lambda: page.page.locator(".subset span", has_text=f": {number} targets").count() == 1)
    page.page.wait_for_function(ROWS, arg=number, polling=200)
    page.page.locator(".subset button").click()
    page.page.wait_for_function(ROWS, arg=len(TARGETS), polling=200)


def test_latent_space_selects_both_ways(page):
    page.page.get_by_role("button", name="Latent space", exact=True).click()
    page.until(lambda: page.page.get_by_text("principal components").count() == 1)
    page.until(lambda: page.page.evaluate(DRAWN))
    page.until(lambda: len(page.page.evaluate(POINTS)["here"]) == 1)
    points = page.at_rest(lambda: page.page.evaluate(POINTS))
    places = dict(zip(points["targets"], points["places"], strict=True))
    assert set(places) == set(TARGETS)
    assert points["here"] == [places[page.shown_target()]]
    wanted = most_isolated(places, page.shown_target())
    page.page.mouse.click(*places[wanted])
    page.until(lambda: page.shown_target() == wanted)
    page.until(lambda: is_marked(page, places[wanted]))
    order = page.page.locator(".tabulator-row .id").all_inner_texts()
    at, last = order.index(wanted), len(TARGETS) - 1
    page.page.keyboard.press("b" if at == last else "n")
    page.until(lambda: page.shown_target() == order[at - 1 if at == last else at + 1])
    page.until(lambda: is_marked(page, places[page.shown_target()]))


def is_marked(page, place):
    here = page.page.evaluate(POINTS)["here"]
    return len(here) == 1 and np.hypot(*np.subtract(here[0], place)) < 0.5


def test_a_lasso_filters_the_table(page):
    points = page.at_rest(lambda: page.page.evaluate(POINTS))
    places = dict(zip(points["targets"], points["places"], strict=True))
    wanted = most_isolated(places, "")
    x, y = places[wanted]
    page.page.evaluate(
        """() => {
          const figure = [...Bokeh.documents[0]._all_models.values()]
            .find((m) => m.type === "Figure" && m.below?.[0]?.axis_label?.startsWith("PC 1"))
          figure.toolbar.tools.find((tool) => tool.type === "LassoSelectTool").active = true
        }"""
    )
    page.wait_for_status("done")
    page.painted()
    page.page.mouse.move(x - 6, y - 6)
    page.page.mouse.down()
    for dx, dy in ((6, -6), (6, 6), (-6, 6), (-6, -6)):
        page.page.mouse.move(x + dx, y + dy, steps=3)
        page.painted()  # moves without a frame between them become one
    page.page.mouse.up()
    page.until(lambda: page.page.locator(".subset span", has_text="1 target of the lasso").count() == 1)
    page.until(lambda: page.page.locator(".tabulator-row .id").all_inner_texts() == [wanted])
    page.page.locator(".subset button").click()
    page.page.wait_for_function(ROWS, arg=len(TARGETS), polling=200)


def most_isolated(places, without):
    """The target whose point is farthest from all others."""
    names = [name for name in places if name != without]
    return max(
        names,
        key=lambda one: min(np.hypot(*np.subtract(places[one], places[other])) for other in places if other != one),
    )


ROWS = """
(wanted) => {
  function* roots(node) {
    yield node
    for (const one of node.querySelectorAll("*")) if (one.shadowRoot) yield* roots(one.shadowRoot)
  }
  return [...roots(document)].flatMap((root) => [...root.querySelectorAll(".tabulator-row")]).length === wanted
}
"""
