"""Measure how long a key takes until its target is painted: python scripts/latency.py [TARGETS].

Serves the embedded demo, computes the first targets, and then goes back and forth through them. Prints the medians from
the key to the painted spectrum, and to all panels of an attribution that is in memory. Needs the test extra and a
Chromium; meaningful on an idle machine only.
"""

import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from helpers.browser import chromium, serving, visit  # noqa: E402 - the tests' own server and browser

# Milliseconds from a key to the end of the frames in which another target's spectrum, and its whole attribution, are
# painted. Asks for no frames of its own: each costs the page a layout.
PRESS = """
(key) => new Promise((resolve) => {
  const models = [...Bokeh.documents[0]._all_models.values()]
  const having = (...names) => models.find((m) => m.data?.rank === undefined && names.every((n) => m.data?.[n]))
  const target = having("z", "id"), drawn = having("shown"), attribution = having("x", "combined")
  const shown = models.filter((m) => m.type === "Figure" && m.name?.startsWith("imo-") && m.visible)
  const before = [target.data.id[0], drawn.data.shown]
  const slots = [], waiting = new Set(shown)
  let spectrum = null
  const end = (whole) => {
    clearTimeout(late)
    for (const [signal, slot] of slots) signal.disconnect(slot)
    resolve([target.data.id[0], spectrum, whole])
  }
  const late = setTimeout(() => end(NaN), 30000)
  for (const panel of shown) {
    const {repainted} = Bokeh.index.find_one(panel)
    const slot = () => {
      if (target.data.id[0] === before[0] || drawn.data.shown === before[1]) return
      if (spectrum === null && panel.name === "imo-spectrum") {
        spectrum = NaN
        setTimeout(() => { spectrum = performance.now() - began })
      }
      if (!attribution.data.combined.some(Number.isFinite)) return
      waiting.delete(panel)
      if (waiting.size === 0) setTimeout(() => end(performance.now() - began))
    }
    repainted.connect(slot)
    slots.push([repainted, slot])
  }
  const began = performance.now()
  window.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}))
})
"""


def measure(targets: int) -> tuple[list[float], list[float]]:
    """Return milliseconds to the spectrum and to everything, one pair a key.

    Raises:
        RuntimeError: a key led to another target than the next or the previous one.
    """
    with serving("--no-ahead") as server, chromium() as browser:
        seen = visit(browser, server.url)
        seen.wait_for_status("done")
        order = [seen.shown_target()]
        for _ in range(targets - 1):
            seen.page.keyboard.press("n")
            seen.page.locator(".strip .id").filter(has_not_text=order[-1]).wait_for()
            seen.wait_for_status("done")
            order.append(seen.shown_target())
        spectra, everything = [], []
        for key, path in (("b", order[-2::-1]), ("n", order[1:])):
            for wanted in path:
                found, painted, whole = seen.page.evaluate(PRESS, key)
                if found != wanted:
                    raise RuntimeError(f"key {key} led to {found}, not to {wanted}")
                spectra.append(painted)
                everything.append(whole)
                seen.page.wait_for_timeout(1000)
        return spectra, everything


def main(targets: int) -> None:
    """Print the medians."""
    spectra, everything = measure(targets)
    print(f"{len(spectra)} keys, Chromium at 1440 x 900")
    print(f"key to painted spectrum:         median {statistics.median(spectra):.0f} ms, most {max(spectra):.0f} ms")
    print(
        f"key to all panels, from memory:  median {statistics.median(everything):.0f} ms, most {max(everything):.0f} ms"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
