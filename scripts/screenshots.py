"""Make the README's pictures from the running program: python scripts/screenshots.py [FOLDER].

Needs the test extra (Playwright) and a Chromium.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import chromium, serving, visit  # noqa: E402 - the tests' own server and browser


def main(folder: Path) -> None:
    """Write light.png, dark.png and halpha.png."""
    folder.mkdir(parents=True, exist_ok=True)
    with serving() as server, chromium() as browser:
        page = visit(browser, server.url)
        page.wait_for_status("done", timeout=900)
        page.page.wait_for_timeout(3000)
        page.page.screenshot(path=folder / "light.png")
        page.page.locator('button[data-value="halpha"]').click()
        page.page.wait_for_timeout(500)
        page.page.screenshot(path=folder / "halpha.png")
        dark = visit(browser, f"{server.url}?theme=dark")
        dark.wait_for_status("done", timeout=900)
        dark.page.wait_for_timeout(3000)
        dark.page.screenshot(path=folder / "dark.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "assets")
