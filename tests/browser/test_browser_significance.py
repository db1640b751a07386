"""Significant only, in a real Chromium: what is faded, what stays, and when it cannot be asked for."""

import numpy as np
import pytest
from helpers.browser import CHROMIUM
from helpers.tools import Page, page, served, whole  # noqa: F401 - fixtures
from helpers.tools_page import ATTRIBUTIONS, SIGNIFICANCES, WHY_NOT, WINDOWS

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]

BUTTON = 'button[data-group="significant"]'
LOOK = """
() => {
  const models = [...Bokeh.documents[0]._all_models.values()]
  const only = models.find((m) => m.data?.only_combined !== undefined)
  const figures = Object.fromEntries(models.filter((m) => m.type === "Figure").map((m) => [m.name, m]))
  const alpha = (glyph) => (glyph.line_alpha ?? glyph.fill_alpha ?? glyph.global_alpha).value
  const of = (name) => figures[name].renderers
    .filter((r) => ["combined", "window"].includes(r.name) || r.glyph.type === "Image")
    .map((r) => [r.glyph.type, r.visible, alpha(r.glyph)])
  const images = figures["imo-map"].renderers.filter((r) => r.glyph.type === "Image").map((r) => r.data_source)
  return {
    combined: of("imo-combined"), window: of("imo-w16"), map: of("imo-map"),
    only: Object.fromEntries(Object.entries(only.data).map(([name, values]) => [name, [...values]])),
    image: [...images[1].data.image[0]],
  }
}
"""


def chosen(seen: Page, on: bool) -> None:
    seen.page.wait_for_selector(f'{BUTTON}[aria-pressed="{str(on).lower()}"]')
    seen.painted()


def announced(seen: Page) -> str:
    return seen.page.locator("[data-announce]").text_content()


def begin(seen: Page) -> None:
    seen.page.wait_for_selector(f'{BUTTON}[aria-disabled="false"]')
    seen.page.evaluate("() => { imo.explorer.state.significant = false; imo.explorer.significance() }")
    chosen(seen, False)


def test_what_is_significant_stays_and_the_rest_fades_without_the_server(page):  # noqa: F811
    begin(page)
    before = page.page.evaluate(LOOK)
    assert [line[1] for line in before["window"]] == [True, False]
    mark = page.mark()
    page.key("S")
    chosen(page, True)
    after = page.page.evaluate(LOOK)
    for part in ("combined", "window", "map"):
        *faded, over = after[part]
        assert over[1] and over[2] == 1, part
        for now, earlier in zip(faded, before[part], strict=False):
            assert now[1] and now[2] == pytest.approx(0.2 * earlier[2]), part
    attribution, known = ATTRIBUTIONS[0], SIGNIFICANCES[0]
    for name, curve, p in [
        ("only_combined", attribution.combined, known.combined_corrected_p),
        *((f"only_w{size}", attribution.mean[k], known.corrected_p[k]) for k, size in enumerate(WINDOWS)),
    ]:
        drawn = np.array([np.nan if value is None else value for value in after["only"][name]], float)
        significant = p <= 0.05
        np.testing.assert_allclose(drawn[significant], curve[significant], rtol=1e-5)
        beside = np.convolve(significant, [1, 1, 1], "same") > 0  # a line needs a neighbour to be drawn to
        assert np.isnan(drawn[~beside]).all()
    image = np.array([np.nan if value is None else value for value in after["image"]], float).reshape(len(WINDOWS), -1)
    for row, p in zip(image, known.corrected_p, strict=True):  # smallest window first
        assert np.isfinite(row[p <= 0.05]).all()
        assert 0 < np.isfinite(row).mean() < 0.5
    assert "significant at 5 %" in announced(page)

    page.page.locator(BUTTON).click()
    chosen(page, False)
    again = page.page.evaluate(LOOK)
    assert (again["combined"], again["window"], again["map"]) == (before["combined"], before["window"], before["map"])
    assert page.since(mark) == ([], [])


def test_it_stays_wished_from_target_to_target_and_says_where_it_cannot_be(page):  # noqa: F811
    begin(page)
    page.key("S")
    chosen(page, True)
    page.target(3)
    page.page.wait_for_selector(f'{BUTTON}[aria-disabled="true"][title*="{WHY_NOT}"]')
    chosen(page, False)
    look = page.page.evaluate(LOOK)
    assert [line[1:] for line in look["window"]] == [[True, 1], [False, 1]]
    page.key("S")
    assert WHY_NOT in announced(page)
    page.target(1)
    page.page.wait_for_selector(f'{BUTTON}[aria-disabled="false"]')
    chosen(page, True)
    page.key("S")
    chosen(page, False)
