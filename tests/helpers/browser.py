"""The program in a process of its own with a small model to run, and a real Chromium."""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from playwright.sync_api import Browser, BrowserContext, Page, WebSocket, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from imo_engine.model.autoencoder import AutoencoderConfig, SpectrumDecoder, SpectrumEncoder
from imo_engine.model.flow import FlowConfig, MaskedAutoregressiveFlow
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.spectra.instrument import desi_wavelength

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

IMO = [sys.executable, "-c", "from app.commands.program import main; main()"]
ROOT = Path(__file__).parents[2]
T = TypeVar("T")
PATIENCE = 120.0  # seconds for what comes at once on a machine that has nothing else to do


def write_desi_model(folder: Path, *, pool: bool = True) -> Path:
    """Save a random model on DESI's grid, so narrow that a full map takes seconds, and its pool of baselines."""
    grid = desi_wavelength()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        rest = torch.linspace(1900, 9850, 1200)
        config = AutoencoderConfig(
            n_latent=3, conv_widths=(2, 4, 4), encoder_hidden=(8,), decoder_hidden=(8, 16), n_rest=len(rest)
        )
        encoder, decoder = SpectrumEncoder(config), SpectrumDecoder(config, rest)
        with torch.no_grad():
            first = decoder.mlp[0]
            assert isinstance(first, torch.nn.Linear)
            first.weight.mul_(20)  # so that baselines differ
    flow = MaskedAutoregressiveFlow(
        FlowConfig(n_latent=3, n_transforms=2, n_hidden=7), generator=torch.Generator().manual_seed(0)
    )
    provenance = {"name": "narrow", "trained_on": "nothing"}
    model = OutlierModel(encoder, decoder, flow, grid, provenance=provenance, device="cpu")
    path = folder / "narrow.safetensors"
    model.save(path)
    if pool:
        rng = np.random.default_rng(0)
        flux = 1 + rng.normal(0, 0.3, (6, 1)) * np.linspace(-1, 1, len(grid)) + rng.normal(0, 0.1, (6, len(grid)))
        BaselinePool.from_spectra(model, flux, np.full(6, 0.1)).save(folder / "baselines.safetensors")
    return path


# Panels that are shown, by name: ranges, how many values each drawn column has, axes (those in sight last)
FIGURES = """
() => {
  const figures = {}
  for (const model of Bokeh.documents[0]._all_models.values()) {
    if (model.type !== "Figure" || !model.name?.startsWith("imo-") || !model.visible) continue
    const filled = {}
    for (const renderer of model.renderers) {
      if (!renderer.visible) continue
      for (const key of ["y", "y1", "y2", "image"]) {
        const column = renderer.glyph[key]?.field
        if (column === undefined) continue
        let values = renderer.data_source.data[column]
        if (key === "image") values = values[0]
        filled[`${renderer.name ?? "image"}:${column}`] = Array.from(values).filter(Number.isFinite).length
      }
    }
    const axes = [...model.above, ...model.below].filter((one) => one.type === "LinearAxis")
      .sort((one, other) => one.visible - other.visible)
    figures[model.name.slice(4)] = {
      x: [model.x_range.start, model.x_range.end], y: [model.y_range.start, model.y_range.end], filled,
      axes: axes.map((axis) => ({label: axis.axis_label, visible: axis.visible})),
      text: model.left[0].major_label_text_color,
    }
  }
  return figures
}
"""

# A column of a data source as plain numbers, null where there is none; an image as its rows
COLUMN = """
([having, name]) => {
  const plain = (values) => Array.from(values, (v) => ArrayBuffer.isView(v) || Array.isArray(v) ? plain(v)
    : typeof v !== "number" ? v : Number.isFinite(v) ? v : null)
  for (const model of Bokeh.documents[0]._all_models.values()) {
    // the table's source has columns of the same names
    if (model.type !== "ColumnDataSource" || model.data[having] === undefined || model.data.rank !== undefined) continue
    if (name !== "image") return plain(model.data[name])
    const image = model.data.image[0], width = image.shape[1]
    return Array.from({length: image.shape[0]}, (_, row) => plain(image.slice(row * width, (row + 1) * width)))
  }
}
"""

SHOWN = """
(target) => [...Bokeh.documents[0]._all_models.values()]
  .some((m) => m.data?.z !== undefined && m.data.rank === undefined && m.data.id[0] === target)
"""

HAS_VALUES = """
(column) => [...Bokeh.documents[0]._all_models.values()]
  .some((m) => m.data?.x !== undefined && m.data[column]?.some(Number.isFinite))
"""

# Two frames painted after everything that was asked for before, no panel that waits for more data, nothing that fades
PAINTED = """
async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(done))
  const waits = () => [...Bokeh.documents].some((one) => [...one._all_models.values()].some((m) => m.hold_render))
  for (const end = performance.now() + 5000; waits() && performance.now() < end;) await frame()
  function* roots(node) {
    yield node
    for (const element of node.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot)
  }
  await frame()
  await frame()
  const moving = [...roots(document)].flatMap((root) => root.getAnimations())
    .filter((one) => Number.isFinite(one.effect?.getComputedTiming().endTime))
  const longest = new Promise((done) => setTimeout(done, 5000))
  await Promise.race([Promise.allSettled(moving.map((one) => one.finished)), longest])
}
"""

RANGE_DIFFERS = """
(before) => {
  const range = [...Bokeh.documents[0]._all_models.values()].find((m) => m.name === "imo-spectrum").x_range
  return range.start !== before[0] || range.end !== before[1]
}
"""


@dataclass
class Server:
    """`imo serve` in a process of its own; its output is kept."""

    url: str
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    @property
    def log(self) -> str:
        return "".join(self.lines)


class Gate:
    """Stands in the engine of a server: while it is closed, nothing that is computed comes to its end.

    So a test decides what is still running, however fast or slow the machine is.
    """

    def __init__(self, folder: Path) -> None:
        """An open gate; ``folder`` keeps its file."""
        self.file = folder / "gate"

    def close(self, after: int = 1_000_000) -> None:
        """Let maps wait after each window size up to ``after``, and other methods before each batch."""
        new = self.file.with_suffix(".new")
        new.write_text(str(after))
        new.replace(self.file)

    def open(self) -> None:
        self.file.unlink(missing_ok=True)


@contextmanager
def serving(
    *arguments: object,
    threads: int | None = None,
    gate: Gate | None = None,
    without: tuple[str, ...] = (),
    root: Path = ROOT,
) -> Iterator[Server]:
    """Run `imo serve` of the checkout ``root``, as if modules ``without`` were not installed.

    One thread is quickest for a narrow model on a busy machine.
    """
    program = IMO if gate is None else [sys.executable, str(ROOT / "tests" / "helpers" / "gated.py"), str(gate.file)]
    if without:
        program = [sys.executable, "-c", f"import sys; sys.modules |= dict.fromkeys({without}); {IMO[-1]}"]
    command = [*program, "serve", "--port", "0", *map(str, arguments)]
    environment = os.environ | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=root, env=environment
    )
    server = Server("", process)
    ready = threading.Event()

    def read() -> None:
        for line in process.stdout or ():
            server.lines.append(line)
            if match := re.search(r"http://127\.0\.0\.1:\d+/", line):
                server.url = match[0]
                ready.set()
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert ready.wait(200) and server.url, f"the server did not start:\n{server.log}"
        _wait_until_it_listens(server)
        yield server
    finally:
        process.terminate()
        process.wait(60)
        reader.join(5)
        if process.stdout:
            process.stdout.close()


def _wait_until_it_listens(server: Server) -> None:
    deadline = time.monotonic() + PATIENCE
    while server.process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            return
        except OSError:  # the address is printed a little before
            time.sleep(0.05)
    raise AssertionError(f"nobody listens at {server.url}:\n{server.log}")


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """One page, with what it asked for and complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    sent: list[str | bytes] = field(default_factory=list)  # to the server, through the socket

    @property
    def outside(self) -> list[str]:
        inside = ("http://127.0.0.1:", "ws://127.0.0.1:", "blob:http://127.0.0.1:", "data:", "blob:null")
        return [url for url in self.requests if not url.startswith(inside)]

    def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = self.page.evaluate(FIGURES)
        return found

    def column(self, having: str, name: str) -> np.ndarray:
        """A column of the data source that has the column ``having``; NaN where there is no number."""
        values = self.page.evaluate(COLUMN, [having, name])
        return np.array(values) if values and isinstance(values[0], str) else np.array(values, float)

    def lines(self) -> dict[str, float]:
        """Observed wavelengths of the line markers, by name."""
        return dict(zip(self.column("rest", "name").tolist(), self.column("rest", "x").tolist(), strict=True))

    def press(self, group: str, value: str) -> None:
        button = self.page.locator(f'button[data-group="{group}"][data-value="{value}"]')
        in_menu = not button.is_visible()
        if in_menu:
            self.page.get_by_role("button", name="Show").click()
        button.click()
        if in_menu:
            self.page.keyboard.press("Escape")
        self.page.wait_for_selector(
            f'button[data-group="{group}"][data-value="{value}"][aria-pressed="true"]', state="attached"
        )
        self.painted()

    def switch_off(self, group: str) -> None:
        """Release a button that stays pressed."""
        self.page.locator(f'button[data-group="{group}"][aria-pressed="true"]').click()
        self.page.wait_for_selector(f'button[data-group="{group}"][aria-pressed="false"]')
        self.painted()

    def until(self, true: Callable[[], object]) -> None:
        """Wait on this side: on a busy machine the browser paints so rarely that its own waiting may miss it."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, "it never came"
            self.page.wait_for_timeout(50)

    def painted(self) -> None:
        """Wait until what was asked for is painted and nothing fades or moves any more."""
        self.page.evaluate(PAINTED)

    def pause(self, milliseconds: float) -> None:
        """Let timers of the page that are due within that time run: by the page's own clock."""
        self.page.evaluate("(ms) => new Promise((done) => setTimeout(done, ms))", milliseconds)

    def at_rest(self, read: Callable[[], T]) -> T:
        """Return what ``read`` finds when it finds the same twice with frames painted between."""
        found: list[T] = []

        def settled() -> bool:
            self.painted()
            found.append(read())
            return found[-2:] == [found[-1]] * 2

        self.until(settled)
        return found[-1]

    def quiet(self) -> int:
        """Wait until the page has painted and sends nothing any more; return how many messages it has sent."""

        def sent() -> int:
            self.page.wait_for_timeout(250)
            return len(self.sent)

        return self.at_rest(sent)

    def status(self) -> str:
        return self.page.locator("[data-status]").get_attribute("data-status") or ""

    def select(self, target_id: str) -> None:
        self.page.locator(".tabulator-cell", has_text=target_id).first.click()

    def show(self, target_id: str) -> None:
        """Select a target unless it is, and wait until it is named and its spectrum drawn."""
        if self.shown_target() != target_id:
            self.select(target_id)
        self.page.wait_for_function(SHOWN, arg=target_id)
        self.page.locator(".strip .id", has_text=target_id).wait_for()

    def wait_for_values(self, column: str) -> None:
        """Wait until a column of some data source holds numbers."""
        self.page.wait_for_function(HAS_VALUES, arg=column)

    def x_range(self) -> tuple[float, float]:
        """The wavelengths in view, which must be the same in every panel."""
        (shown,) = {tuple(figure["x"]) for figure in self.figures().values()}
        return shown

    def wait_for_other_range(self, before: tuple[float, float]) -> None:
        self.page.wait_for_function(RANGE_DIFFERS, arg=list(before))

    def wait_for_status(self, *kinds: str) -> None:
        try:
            self.page.wait_for_selector(", ".join(f'[data-status="{kind}"]' for kind in kinds))
        except PlaywrightTimeout:
            words = self.page.locator("[data-status]").inner_text()
            raise AssertionError(f"expected {kinds}, but the page says {self.status()!r}: {words}") from None

    def shown_target(self) -> str:
        return self.page.locator(".strip .id").inner_text()


def visit(browser: Browser | BrowserContext, url: str, *, width: int = 1440, height: int = 900) -> Visit:
    page = browser.new_page()
    page.set_viewport_size({"width": width, "height": height})
    page.set_default_timeout(1000 * PATIENCE)
    seen = Visit(page)
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("websocket", lambda opened: _follow(seen, opened))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("console", lambda message: seen.errors.extend([message.text] if message.type == "error" else []))
    page.goto(url)
    page.wait_for_selector(".bk-Figure")
    page.wait_for_function("() => window.imo?.explorer !== undefined")
    return seen


def _follow(seen: Visit, opened: WebSocket) -> None:
    seen.requests.append(opened.url)
    opened.on("framesent", lambda payload: seen.sent.append(payload))
