"""The page of plots and tools in a real browser."""

import json
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from app.plots.layers import LAYERS
from helpers.browser import ROOT, Visit, chromium, visit

FIGURES = """
() => Object.fromEntries([...Bokeh.documents[0]._all_models.values()]
  .filter((m) => m.type === "Figure" && m.name?.startsWith("imo-"))
  .map((m) => [m.name.slice(4), {
    visible: m.visible, height: m.outer_height,
    axes: [...m.above, ...m.below].filter((a) => a.visible).map((a) => a.axis_label.split(" ")[0]),
    y: [m.y_range.start, m.y_range.end],
    layers: Object.fromEntries(m.renderers.filter((r) => r.name).map((r) => [r.name, r.visible])),
  }]))
"""


NOTHING_COMPUTED = """
() => [...Bokeh.documents[0]._all_models.values()]
  .some((m) => m.data?.combined !== undefined && !m.data.combined.some(Number.isFinite))
"""


MARK = """
(name) => {
  const source = [...Bokeh.documents[0]._all_models.values()].find((m) => m.data?.mark !== undefined)
  source.data = {mark: [name]}
}
"""


MARKED = """
(name) => [...Bokeh.documents[0]._all_models.values()].some((m) => m.data?.marked?.[0] === name)
"""


class Mark(NamedTuple):
    """Which line of Python's, and from which part of a message on."""

    heard: int
    sent: int


@dataclass
class Page(Visit):
    """A visit, and what Python heard."""

    output: list[str] = field(default_factory=list)

    def heard(self) -> list:
        return [json.loads(line[6:]) for line in self.output if line.startswith("HEARD ")]

    def wait_to_hear(self, *expected, after: int) -> None:
        """Wait until Python has heard something, what it heard ``after`` that many others."""
        self.until(lambda: list(expected) in self.heard()[after:])

    def key(self, *names: str) -> None:
        for name in names:
            self.page.keyboard.press(name)

    def tools(self) -> dict:
        return self.page.evaluate(FIGURES)

    def mark(self) -> "Mark":
        """Return where Python and the socket stand when everything has arrived, in both directions."""
        name = f"mark-{len(self.sent)}"
        self.page.evaluate(MARK, name)
        self.page.wait_for_function(MARKED, arg=name)
        self.until(lambda: ["mark", name] in self.heard())
        self.until(lambda: any(isinstance(one, str) and name in one for one in self.sent))
        (part,) = (at for at, one in enumerate(self.sent) if isinstance(one, str) and name in one)
        return Mark(self.heard().index(["mark", name]), part - 2)  # a message has three parts

    def since(self, before: "Mark") -> tuple[list, list[str | bytes]]:
        """Return what Python has heard, and what was sent, between that mark and one that is made now."""
        now = self.mark()
        return self.heard()[before.heard + 1 : now.heard], self.sent[before.sent + 3 : now.sent]

    def range(self) -> list[float]:
        return self.page.evaluate(
            "() => { const r = Bokeh.documents[0].get_model_by_name('imo-spectrum').x_range; return [r.start, r.end] }"
        )

    def state(self) -> dict:
        return self.page.evaluate("() => JSON.parse(JSON.stringify(window.imo.explorer.state))")

    def lines_at(self, name: str) -> float:
        return self.lines()[name]

    def readout(self) -> str:
        return self.page.locator("[data-readout]").inner_text()

    def target(self, row: int) -> None:
        """Show a made spectrum by pressing the key for the next one."""
        while (shown := self.column("id", "id")[0]) != f"made-{row}":
            self.key("n")
            self.page.wait_for_function(
                """(before) => [...Bokeh.documents[0]._all_models.values()]
                  .some((m) => m.data?.id && m.data.id[0] !== before)""",
                arg=shown,
            )
        self.wait_for_values("w1")
        self.wait_for_values("model")
        self.painted()

    def box(self, name: str) -> dict:
        """Where a panel's frame is on the page."""
        return self.page.evaluate(
            """(name) => {
              const panel = Bokeh.documents[0].get_model_by_name(name)
              const view = Bokeh.index.find_one(panel)
              const at = view.canvas.el.getBoundingClientRect(), frame = view.frame.bbox
              return {x: at.x + frame.left, y: at.y + frame.top, width: frame.width, height: frame.height}
            }""",
            name,
        )

    def drag(self, name: str, start: float, end: float) -> None:
        """Drag over shares of a panel's width."""
        box = self.box(name)
        y = box["y"] + 0.6 * box["height"]
        self.page.mouse.move(box["x"] + start * box["width"], y)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + (start + end) / 2 * box["width"], y, steps=3)
        self.page.mouse.move(box["x"] + end * box["width"], y, steps=3)
        self.page.mouse.up()


@pytest.fixture(scope="module")
def served():
    """The page's address and what it prints."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "helpers" / "tools_page.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    lines: list[str] = []
    address = threading.Event()

    def read() -> None:
        for line in process.stdout or ():
            lines.append(line)
            if line.startswith("made spectra at"):
                address.set()
        address.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert address.wait(200) and process.poll() is None, "".join(lines)
        yield re.search(r"http://\S+", next(line for line in lines if line.startswith("made")))[0], lines
    finally:
        process.terminate()
        process.wait(20)
        reader.join(5)
        if process.stdout:
            process.stdout.close()


@pytest.fixture(scope="module")
def whole(served):
    """One page, which the tests use one after the other."""
    url, lines = served
    with chromium() as browser:
        seen = visit(browser, url)
        page = Page(**{**vars(seen), "output": lines})
        page.wait_for_values("w1")
        yield page


@pytest.fixture
def page(whole):
    """That page with the first spectrum, everything as at first, and the mouse aside."""
    whole.page.mouse.up()  # should a test have ended while it was down
    whole.page.mouse.move(5, 5)
    whole.page.evaluate(
        """(layers) => {
          const {explorer: x} = window.imo
          document.querySelector("dialog[open]")?.close()
          for (const [name, shown] of Object.entries(layers)) x.layer(name, shown)
          for (const name of Object.keys(x.state.panels)) x.panel(name, name !== "residual")
          x.smooth(0); x.frame("observed"); x.asking(false); x.second(false); x.nudge(0); x.view("full")
        }""",
        {layer.name: layer.shown for layer in LAYERS},
    )
    if whole.page.evaluate(NOTHING_COMPUTED):
        whole.key("*")  # the stand-in for Python computes again
    whole.target(0)
    return whole
