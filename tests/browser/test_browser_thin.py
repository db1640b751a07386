"""Curves with more points than the screen has pixels, in a real Chromium: fewer are painted, and it looks the same."""

import pytest
from helpers.browser import CHROMIUM

from app.browser.modules import joined

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]

CODE = joined("thin")

# A noisy curve of 7,781 points on 800 pixels, with a gap, and what is drawn of it
CURVE = """
const count = 7781
let seed = 1
const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647
const sx = Float64Array.from({length: count}, (_, i) => i * 800 / count)
const sy = Float64Array.from({length: count}, (_, i) => 80 + 40 * Math.sin(i / 300) + 25 * (random() - 0.5))
const gap = [3000, 3040]
sy.fill(NaN, ...gap)
"""

POINTS = f"""
() => {{
  {CODE}
  {CURVE}
  const drawn = []
  const put = (kind) => (x, y) => drawn.push([kind, x, y])
  thinnedPath({{moveTo: put("move"), lineTo: put("line")}}, sx, sy)
  return {{sx: [...sx], sy: [...sy].map((y) => Number.isFinite(y) ? y : null), drawn, crowded: crowded(sx),
    zoomed: crowded(sx.map((x) => 5 * x))}}
}}
"""

# Shares of the pixels under a curve, or a band, that differ from how all points look: thinned, and every tenth point
SHARES = f"""
() => {{
  {CODE}
  {CURVE}
  const path = (ctx, xs, ys) => {{
    let broken = true
    for (let i = 0; i < xs.length; i++) {{
      if (!Number.isFinite(ys[i])) {{ broken = true; continue }}
      if (broken) ctx.moveTo(xs[i], ys[i])
      else ctx.lineTo(xs[i], ys[i])
      broken = false
    }}
  }}
  const paint = (draw, end) => {{
    const canvas = document.createElement("canvas")
    canvas.width = 800
    canvas.height = 160
    const ctx = canvas.getContext("2d")
    ctx.beginPath()
    draw(ctx)
    ctx[end]()
    return ctx.getImageData(0, 0, 800, 160).data.filter((_, i) => i % 4 === 3)
  }}
  const compare = (all, others) => {{
    const under = all.reduce((sum, alpha) => sum + (alpha > 0), 0)
    return others.map((other) => all.reduce((sum, alpha, i) => sum + (Math.abs(alpha - other[i]) > 128), 0) / under)
  }}
  const tenth = (values) => values.filter((_, i) => i % 10 === 0)
  const below = sy.map((y) => y + 5), above = sy.map((y) => y - 5)
  const band = (xs, ys1, ys2) => (ctx) => {{
    for (let i = 0; i < xs.length; i++) if (Number.isFinite(ys1[i])) ctx.lineTo(xs[i], ys1[i])
    for (let i = xs.length - 1; i >= 0; i--) if (Number.isFinite(ys2[i])) ctx.lineTo(xs[i], ys2[i])
  }}
  return {{
    curve: compare(paint((ctx) => path(ctx, sx, sy), "stroke"), [
      paint((ctx) => thinnedPath(ctx, sx, sy), "stroke"),
      paint((ctx) => path(ctx, tenth(sx), tenth(sy)), "stroke")]),
    band: compare(paint(band(sx, below, above), "fill"), [
      paint((ctx) => thinnedArea(ctx, sx, below, above), "fill"),
      paint(band(tenth(sx), tenth(below), tenth(above)), "fill")]),
  }}
}}
"""


def test_of_each_column_the_lowest_and_the_highest_point_are_drawn(browser):
    page = browser.new_page()
    result = page.evaluate(POINTS)
    page.close()
    points = [(x, y) for x, y in zip(result["sx"], result["sy"], strict=True) if y is not None]
    columns: dict[int, list[float]] = {}
    for x, y in points:
        columns.setdefault(int(x), []).append(y)
    drawn = [(x, y) for _, x, y in result["drawn"]]
    assert set(drawn) <= set(points)
    assert [x for x, _ in drawn] == sorted(x for x, _ in drawn)
    kept: dict[int, list[float]] = {}
    for x, y in drawn:
        kept.setdefault(int(x), []).append(y)
    edges = {int(result["sx"][2999]), int(result["sx"][3040])}  # a column with the gap in it has two strokes
    for column, ys in columns.items():
        assert (min(kept[column]), max(kept[column])) == (min(ys), max(ys))
        assert len(kept[column]) <= (4 if column in edges else 2)
    assert [kind for kind, *_ in result["drawn"]].count("move") == 2  # at the start and behind the gap
    assert result["crowded"]
    assert not result["zoomed"]


def test_it_looks_the_same(browser):
    page = browser.new_page()
    shares = page.evaluate(SHARES)
    page.close()
    assert shares["curve"][0] < 0.03
    assert shares["curve"][1] > 0.5  # so that the number means something
    assert shares["band"][0] < 0.08
    assert shares["band"][1] > 0.12
