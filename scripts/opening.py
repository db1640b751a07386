"""Measure how long the page takes to open: python scripts/opening.py [--rounds N] [CHECKOUT ...].

Serves the embedded demo of this checkout, and in turns of the others, anew in every round, and opens its page four
times: as the first of the server, in a browser that has cached nothing (cold), again in the same browser (warm), and
beside the page before (second tab). Prints medians of the milliseconds from the address to the painted table and
spectrum, of the processors' time that the server and the browser spent on it (which other work on the machine changes
little), of the requests, and of what came over the wire in kB. Needs Linux, the test extra and a Chromium.
"""

import argparse
import os
import statistics
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from helpers.browser import chromium, serving  # noqa: E402 - the tests' own server and browser
from playwright.sync_api import BrowserContext, Page, ViewportSize  # noqa: E402

# Looks twenty times a second whether the table has rows and the spectrum its pixels, both in the frame painted last
WATCH = """
(() => {
  function* roots(node) {
    yield node
    for (const element of node.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot)
  }
  const table = () => [...roots(document)].some((root) => root.querySelector(".tabulator-row .tabulator-cell"))
  const spectrum = () => {
    const models = [...(window.Bokeh?.documents?.[0]?._all_models?.values() ?? [])]
    const panel = models.find((model) => model.name === "imo-spectrum")
    const drawn = models.find((model) => model.data?.lower !== undefined && model.data.shown !== undefined)
    return panel !== undefined && drawn?.data.shown.some?.(Number.isFinite) && Bokeh.index.find_one(panel) != null
  }
  const timer = setInterval(() => {
    if (!spectrum() || !table()) return
    clearInterval(timer)
    requestAnimationFrame(() => setTimeout(() => { window.painted = performance.now() }))
  }, 50)
})()
"""


@dataclass
class Opening:
    """One page that was opened."""

    milliseconds: float
    server: float
    browser: float
    requests: int
    kilobytes: float
    through_socket: float


def spent(pid: int) -> float:
    """Return the milliseconds of processor that a process and those it started have spent, of those that live."""
    parents, times = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (OSError, NotADirectoryError):
            continue  # not a process, or gone
        parents[int(folder.name)], times[int(folder.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    family = {pid}
    while more := {one for one, parent in parents.items() if parent in family} - family:
        family |= more
    return 1000 * sum(times.get(one, 0) for one in family) / os.sysconf("SC_CLK_TCK")


def opened(context: BrowserContext, url: str, server: int) -> tuple[Page, Opening]:
    """Open a page of the process ``server``, wait until it is painted, and return it with what that took."""
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.add_init_script(WATCH)
    requests, http, socket = [0], [0.0], [0.0]
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    network.on("Network.requestWillBeSent", lambda event: requests.__setitem__(0, requests[0] + 1))
    network.on("Network.loadingFinished", lambda event: http.__setitem__(0, http[0] + event["encodedDataLength"]))

    def frame(event: dict) -> None:  # type: ignore[type-arg]  # as it comes
        payload = event["response"]
        size = len(payload["payloadData"])
        socket[0] += size * (0.75 if payload["opcode"] == 2 else 1)  # binary comes in base64

    network.on("Network.webSocketFrameReceived", frame)
    before = spent(server), spent(os.getpid()) - spent(server)
    page.goto(url, wait_until="commit")
    page.wait_for_function("() => window.painted", polling=100)
    after = spent(server), spent(os.getpid()) - spent(server)
    milliseconds = page.evaluate("() => window.painted")
    took = (after[0] - before[0], after[1] - before[1])
    return page, Opening(milliseconds, *took, requests[0], (http[0] + socket[0]) / 1000, socket[0] / 1000)


def measure(root: Path) -> dict[str, Opening | float]:
    """Return what one server of a checkout takes."""
    began = time.monotonic()
    found: dict[str, Opening | float] = {}
    with serving("--no-ahead", root=root) as server, chromium() as browser:
        found["server"] = 1000 * (time.monotonic() - began)
        size = ViewportSize(width=1440, height=900)
        for kind in ("first", "cold"):
            context = browser.new_context(viewport=size)
            page, found[kind] = opened(context, server.url, server.process.pid)
            page.wait_for_timeout(1000)
            page.close()
        page, found["warm"] = opened(context, server.url, server.process.pid)
        page.wait_for_timeout(1000)
        _, found["second tab"] = opened(context, server.url, server.process.pid)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", nargs="*", type=Path, help="others to measure in turns with this one")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    roots = [ROOT, *(one.resolve() for one in arguments.checkout)]
    found: dict[tuple[Path, str], list[Opening | float]] = defaultdict(list)
    for number in range(arguments.rounds):
        for root in roots:
            for kind, one in measure(root).items():
                found[root, kind].append(one)
                print(number + 1, root, kind, one, file=sys.stderr, flush=True)
    print("| checkout | page | ms | server ms | browser ms | requests | kB | of these through the socket |")
    print("|---|---|---|---|---|---|---|---|")
    for (root, kind), several in found.items():
        if isinstance(several[0], Opening):
            columns = (
                statistics.median(getattr(one, name) for one in several)
                for name in ("milliseconds", "server", "browser", "requests", "kilobytes", "through_socket")
            )
            print(f"| {root.name} | {kind} | " + " | ".join(f"{one:.0f}" for one in columns) + " |")
        else:
            print(f"| {root.name} | {kind} listens | {statistics.median(several):.0f} | | | | | |")  # type: ignore[type-var]


if __name__ == "__main__":
    main()
