"""Take pictures of every view and state, in two themes and three sizes: python scripts/all_views.py FOLDER [SPECTRA].

The states of a computation are shown with SPECTRA, files or folders, and left out without any. Needs the test extra
(Playwright) and a Chromium.
"""

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT))

from helpers.browser import Gate, Visit, chromium, serving, visit  # noqa: E402 - the tests' own server and browser
from playwright.sync_api import Browser  # noqa: E402
from screenshots import METHODS, OUTLIER_FOUR, SETTLED, small, sweep  # noqa: E402

from app.labels import Label, LabelStore  # noqa: E402

SIZES = ((1440, 900), (1920, 1080), (1280, 720))
THEMES = ("light", "dark")
COSMIC_RAY = "39628000001001386"
ME, OTHER = "ann", "bob"

Shoot = Callable[[str], None]


def of_the_page(seen: Visit, shoot: Shoot) -> None:
    """Look at what the plots can show."""
    page, key = seen.page, seen.page.keyboard.press
    shoot("main")
    key("a")
    shoot("halpha")
    key("r")
    key("S")
    shoot("significant")
    key("S")
    for name in "geyl":
        key(name)
    shoot("second-view-model-sky")
    for name in "geyl":
        key(name)
    key("p")
    shoot("menu")
    key("Escape")
    key("j")
    shoot("windows-folded")
    key("j")
    key("m")
    key("Q")
    page.locator('[data-ask="answered"]').wait_for()
    shoot("ask")
    key("Escape")
    key("r")
    key("C")
    shoot("class-by-key")
    key("Escape")
    key("?")
    shoot("keys")
    key("Escape")
    key("T")
    shoot("large-type")
    key("T")
    for name in ("Reveal truth", "Details"):
        for end in ("", "-again"):
            page.get_by_role("button", name="View").click()
            page.get_by_role("checkbox", name=name).click()
            if not end:
                shoot("view-menu")
            key("Escape")
            if not end:
                shoot("truth" if name == "Reveal truth" else "without-details")
    key("/")
    page.keyboard.type("there is no such target")
    shoot("nothing-found")


def of_the_dialogs(seen: Visit, shoot: Shoot) -> None:
    """Look at what opens over the page."""
    page = seen.page
    for name in ("Files", "Disagreements", "Groups", "Edit …"):
        page.get_by_role("button", name=name, exact=True).click()
        if name == "Groups":
            page.locator("[data-groups] .group").first.wait_for()
        page.get_by_role("dialog").get_by_role("button", name="Close").wait_for()
        shoot(name.split()[0].lower())
        page.get_by_role("dialog").get_by_role("button", name="Close").click()
        page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_role("button", name="Latent space", exact=True).click()
    page.get_by_text("principal components").wait_for()
    page.wait_for_timeout(1500)
    shoot("latent-space")
    page.get_by_role("button", name="Latent space", exact=True).click()


def of_a_candidate(seen: Visit, shoot: Shoot) -> None:
    """Look at what is said about a file that somebody brings."""
    page = seen.page
    wave = np.arange(3600.0, 9824.0, 0.8)
    rng = np.random.default_rng(1)
    flux = 10 + 3 * np.exp(-0.5 * ((wave - 6563 * 1.21) / 4) ** 2) + rng.normal(0, 0.5, wave.size)
    rows = "\n".join(f"{w:.1f},{f:.4f},4" for w, f in zip(wave, flux, strict=True))
    page.get_by_role("button", name="Add spectrum").click()
    field = page.locator('input[type="file"]').first
    field.wait_for(state="attached")
    shoot("add-spectrum")
    field.set_input_files({"name": "bad.csv", "mimeType": "text/csv", "buffer": b"wavelength,flux,ivar\n1,x,3\n"})
    page.locator('[data-intake="failed"]').wait_for()
    shoot("add-spectrum-refused")
    content = f"wavelength,flux,ivar\n{rows}\n".encode()
    field.set_input_files({"name": "candidate.csv", "mimeType": "text/csv", "buffer": content})
    page.locator('[data-intake="redshift"]').wait_for()
    shoot("add-spectrum-redshift")
    page.get_by_role("textbox", name="Redshift").fill("0.21")
    page.get_by_role("button", name="Score").click()
    page.locator('[data-intake="done"]').wait_for()
    shoot("add-spectrum-done")
    page.get_by_role("button", name="Close").click()


def of_the_methods(seen: Visit, shoot: Shoot) -> None:
    """Look at the comparison and at the live explanation."""
    page = seen.page
    page.wait_for_function(SETTLED, timeout=900_000)
    shoot("compare")
    sweep(seen)
    shoot("explainer")


def demo(browser: Browser, looks: list[tuple[str, int, int]], folder: Path) -> None:
    """Look at everything that the embedded survey shows."""
    with tempfile.TemporaryDirectory() as kept, serving(*_places(Path(kept)), "--no-ahead") as server:
        _label(Path(kept), [OUTLIER_FOUR, COSMIC_RAY])
        for theme, width, height in looks:
            end = f"-{width}-{theme}.png"
            for query, view in [
                (f"&target={OUTLIER_FOUR}", of_the_page),
                ("", of_the_dialogs),
                ("", of_a_candidate),
                (f"&target={COSMIC_RAY}", of_a_repair),
                (f"&target={OUTLIER_FOUR}&compare={METHODS}", of_the_methods),
            ]:
                seen = visit(browser, f"{server.url}?theme={theme}{query}", width=width, height=height)
                seen.wait_for_status("done")
                view(seen, partial(_shoot, seen, folder, end))
                for error in seen.errors:
                    print(f"{end}: {error}")
                seen.page.close()
            print(f"demo{end} done", flush=True)


def _shoot(seen: Visit, folder: Path, end: str, name: str) -> None:
    seen.painted()
    seen.page.wait_for_timeout(900)
    small(seen.page, folder / f"{name}{end}")


def of_a_repair(seen: Visit, shoot: Shoot) -> None:
    """Look at what makes the target ordinary."""
    seen.page.keyboard.press("R")
    seen.page.wait_for_selector('[data-repair="done"]')
    shoot("repair")


def states(browser: Browser, looks: list[tuple[str, int, int]], folder: Path, spectra: list[str]) -> None:
    """Look at a computation that waits, that goes on, and that ends, and at a server that went away."""
    for theme, width, height in looks:
        end = f"-{width}-{theme}.png"
        with tempfile.TemporaryDirectory() as kept:
            gate = Gate(Path(kept))
            gate.close(after=16)
            given = [one for path in spectra for one in ("--spectra", path)]
            with serving(*given, *_places(Path(kept)), "--no-ahead", gate=gate) as server:
                seen = visit(browser, f"{server.url}?theme={theme}", width=width, height=height)
                seen.page.wait_for_timeout(6000)
                small(seen.page, folder / f"computing{end}")
                gate.open()
                seen.wait_for_status("done")
                seen.page.wait_for_timeout(1500)
                small(seen.page, folder / f"own-files{end}")
                seen.page.keyboard.press("/")
                seen.page.keyboard.type("not scored")
                seen.page.wait_for_timeout(1500)
                small(seen.page, folder / f"own-files-search{end}")
                seen.page.keyboard.press("Escape")
            seen.page.wait_for_timeout(2500)
            small(seen.page, folder / f"server-gone{end}")
            seen.page.close()
            print(f"states{end} done", flush=True)


def _places(folder: Path) -> list[str]:
    return ["--labels", str(folder / "labels.sqlite"), "--cache", str(folder / "cache"), "--user", ME]


def _label(folder: Path, targets: list[str]) -> None:
    """Let two people disagree."""
    with LabelStore(folder / "labels.sqlite") as store:
        for number, target in enumerate(targets):
            for scanner, quality in ((ME, 4), (OTHER, 1)):
                label = Label(quality=quality, comment="two peaks" if number else "")
                store.save(target, label, scanner=scanner, client_id=f"{scanner}-{target}", expected_version=0)


def main(folder: Path, spectra: list[str]) -> None:
    """Write NAME-WIDTH-THEME.png of everything."""
    folder.mkdir(parents=True, exist_ok=True)
    looks = [(theme, *size) for size in SIZES for theme in THEMES]
    with chromium() as browser:
        demo(browser, looks, folder)
        if spectra:
            states(browser, looks, folder, spectra)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
