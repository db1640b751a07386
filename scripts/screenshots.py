"""Make the README's pictures from the running program: python scripts/screenshots.py [FOLDER].

Needs the test extra (Playwright) and a Chromium.
"""

import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from helpers.browser import Visit, chromium, serving, visit  # noqa: E402 - the tests' own server and browser
from playwright.sync_api import Browser, Page  # noqa: E402

OUTLIER_FOUR = "39628000001010487"
METHODS = "integrated_gradients,expected_gradients,feature_ablation,occlusion"
SETTLED = """
() => [...Bokeh.documents[0]._all_models.values()].find((m) => m.data?.note).data.state.slice(1)
  .every((state) => state === "done")
"""


def methods(browser: Browser, url: str, folder: Path) -> None:
    """Write compare.png and explainer.png: the analogue of the paper's outlier 4."""
    seen = visit(browser, f"{url}?target={OUTLIER_FOUR}&compare={METHODS}")
    seen.wait_for_status("done")
    seen.page.wait_for_function(SETTLED, timeout=900_000)
    seen.page.wait_for_timeout(1000)
    small(seen.page, folder / "compare.png")
    sweep(seen)
    small(seen.page, folder / "explainer.png")
    seen.page.close()


def sweep(seen: Visit) -> None:
    """Let the live explanation play, then put its window on the peaks of the analogue of the paper's outlier 4."""
    seen.page.keyboard.press("E")
    seen.page.locator("[data-hybrid][data-ready]").wait_for(timeout=60_000)
    seen.page.evaluate("() => window.imo.hybrid.size(64)")
    seen.page.locator("[data-play]").click()
    seen.page.wait_for_function("() => !window.imo.hybrid.state.playing", timeout=300_000)
    seen.page.keyboard.press("PageUp")  # nothing but the focus
    seen.page.evaluate("() => window.imo.hybrid.moveTo(6336)")
    seen.page.wait_for_timeout(1500)


def small(page: Page, path: Path) -> None:
    """Write a screenshot with 256 colours, a third of the bytes."""
    page.screenshot(path=path)
    with Image.open(path) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def main(folder: Path) -> None:
    """Write light.png, dark.png, halpha.png, compare.png and explainer.png."""
    folder.mkdir(parents=True, exist_ok=True)
    with serving() as server, chromium() as browser:
        page = visit(browser, server.url)
        page.wait_for_status("done")
        page.page.wait_for_timeout(3000)
        page.page.screenshot(path=folder / "light.png")
        page.page.locator('button[data-value="halpha"]').click()
        page.page.wait_for_timeout(500)
        page.page.screenshot(path=folder / "halpha.png")
        methods(browser, server.url, folder)
        dark = visit(browser, f"{server.url}?theme=dark")
        dark.wait_for_status("done")
        dark.page.wait_for_timeout(3000)
        dark.page.screenshot(path=folder / "dark.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "assets")
