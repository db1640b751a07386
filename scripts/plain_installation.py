"""Every command of `imo` and every file of its page, in an installation without any extra.

Run by scripts/test.sh in an environment of its own, where what only an extra brings along is missing, as it is for who
starts with scripts/demo.sh. Everything is small: what is asked is whether it runs at all.
"""

import asyncio
import base64
import html
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from app.commands.program import main
from app.labels import Label, LabelStore

SECONDS = 120  # for an answer of the page, on a machine that is busy with other things
MODEL = ("--model", "model/model.safetensors")
SMALL = (*MODEL, "--windows", "64,256", "--n-baselines", "2")
SURVEY = "survey/coadd-sim-000.fits"


class Failure(Exception):
    """What does not run, in words."""


def check_that_it_is_plain() -> None:
    """Refuse an environment in which something that only an extra asks for is installed."""
    wanted = [re.split(r"[^\w.-]", requirement, maxsplit=1) for requirement in requires("imo-explorer") or ()]
    plain = {name for name, rest in wanted if "extra ==" not in rest}
    for name in sorted({name for name, rest in wanted if "extra ==" in rest} - plain):
        try:
            found = version(name)
        except PackageNotFoundError:
            continue
        raise Failure(f"{name} {found} of an extra is installed in {sys.prefix}")


def imo(*arguments: str, status: int = 0) -> str:
    """Run a command of `imo` in this process; return what it prints."""
    print(f"  imo {' '.join(arguments)}", flush=True)
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        try:
            main(arguments)
        except SystemExit as ended:
            code = ended.code
    if code != status:
        raise Failure(f"imo {arguments[0]} ended with status {code}:\n{printed.getvalue()}")
    return printed.getvalue()


def commands() -> str:
    """Run every command; return the target that the later ones explain."""
    from astropy.table import Table

    lines = imo("simulate", "nothing", "--number", "4", status=1).strip().splitlines()
    if not lines[-1].startswith("imo: ") or "imo-explorer[simulate]" not in lines[-1] or len(lines) > 2:
        raise Failure(f"imo simulate does not name the extra it needs in one line: {lines}")
    imo("simulate", "survey", "--number", "60", "--analytic", "--outliers", "0.3")
    steps = ("--teacher-steps", "2", "--encoder-steps", "2", "--joint-steps", "2", "--epochs", "1", "--draws", "1")
    imo("train", "survey", "-o", "model", "--latents", "4", "--widths", "2,4,4", *steps)
    imo("rank", SURVEY, *MODEL, "-o", "catalogue.ecsv")
    target = str(Table.read("catalogue.ecsv")["target_id"][0])
    one = (SURVEY, "--target-id", target, *SMALL)
    for name in ("result.nc", "result.ecsv"):
        imo("explain", *one, "-o", name)
        check_file(Path(name))
    imo("export", *one, "-o", "result.html")
    check_file(Path("result.html"))
    for name in ("result.pdf", "result.svg", "result.png"):
        imo("figure", *one, "--methods", "integrated_gradients,deep_lift", "-o", name)
        check_file(Path(name))
    imo("benchmark", *SMALL, "--no-growth", "--no-compare", "-o", "benchmark.json")
    imo("evaluate", "model", *MODEL, "--survey", "survey", "-o", "model.html")
    imo("evaluate", "repair", *MODEL, "--survey", "survey", "--windows", "256", "--per-kind", "1", "--odd", "0.5")
    few = ("--per-cell", "1", "--choices", "0", "--sanity", "0", "--n-baselines", "2", "--kind", "calibration_step")
    imo("evaluate", "attribution", "survey", *MODEL, *few, "-o", "scores", "--page", "scores.md")
    null = ("--survey", "survey", "--number", "20", "--windows", "256", "--n-baselines", "2", "--samples", "samples")
    imo("evaluate", "null", *MODEL, *null, "-o", "null.safetensors")
    return target


def check_file(path: Path) -> None:
    """Refuse a file that is not of the kind that its name says."""
    begins = {".html": b"<!doctype html>", ".pdf": b"%PDF-", ".png": b"\x89PNG", ".svg": b"<?xml", ".csv": b"TARGETID,"}
    if path.suffix == ".nc":
        import xarray

        with xarray.open_dataset(path) as dataset:
            good = dataset["combined"].size > 0
    elif path.suffix == ".ecsv":
        from astropy.table import Table

        good = len(Table.read(path)) > 0
    else:
        good = path.read_bytes()[:15].lower().startswith(begins[path.suffix].lower())
    if not good:
        raise Failure(f"{path} is not what its name says: {path.read_bytes()[:80]!r}")


@contextmanager
def served(*arguments: str) -> Iterator[str]:
    """Run `imo serve` as the installed program; the address of its page."""
    command = [str(Path(sys.executable).with_name("imo")), "serve", "--port", "0", *arguments]
    print(f"  imo {' '.join(command[1:])}", flush=True)
    with open("serve.log", "w+", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + SECONDS
            while not (found := re.search(r"http://127\.0\.0\.1:\d+/", Path(log.name).read_text(encoding="utf-8"))):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise Failure(f"imo serve does not start:\n{Path(log.name).read_text(encoding='utf-8')}")
                time.sleep(0.1)
            yield found[0]
        except TimeoutError:
            raise Failure(f"the page does not answer:\n{Path(log.name).read_text(encoding='utf-8')}") from None
        finally:
            process.terminate()
            process.wait(60)


FILES = {
    "Labels, CSV": "labels.csv",
    "Labels, ECSV": "labels.ecsv",
    "Attribution, ECSV": "page.ecsv",
    "Attribution, netCDF": "page.nc",
    "Plots, HTML": "page.html",
    "Figure, PDF": "page.pdf",
    "Figure, PNG": "page.png",
    "Figure, SVG": "page.svg",
}
"""Buttons of the page, and what to call the file that each makes."""


async def files_of_the_page(url: str) -> None:
    """Open the page as a browser does, wait for the first target's attribution, and press every button for a file."""
    page = (await _fetched(url)).decode()
    token = re.search(r'"token":\s*"([^"]+)"', page)
    if not token:
        raise Failure(f"{url} is not the page: {page[:500]}")
    address = HTTPRequest(f"ws{url.removeprefix('http')}ws", headers={"Origin": url.rstrip("/")})
    socket = await websocket_connect(address, subprotocols=["bokeh", token[1]], max_message_size=200 << 20)
    await _until(socket, lambda text: '"ACK"' in text)
    await _send(socket, "PULL-DOC-REQ", {})
    document = json.loads(await _until(socket, lambda text: text.startswith('{"doc"')))
    await _send(socket, "PATCH-DOC", _event("document_ready"))
    await _until(socket, lambda text: "data-status=&quot;done&quot;" in text)
    # the dialog is made when it is first opened
    await _send(socket, "PATCH-DOC", _told(next(_channels(document)), "key", "files"))
    dialog = await _until(socket, lambda text: '"FileDownload"' in text)
    buttons = dict(_buttons(json.loads(dialog)))
    if buttons.keys() != FILES.keys():
        raise Failure(f"the page has buttons for {sorted(buttons)}; {__file__} knows {sorted(FILES)}")
    for label, button in buttons.items():
        print(f"  Files > {label}", flush=True)
        data = ["data", {"type": "map", "entries": []}]
        await _send(socket, "PATCH-DOC", _event("dom_event", ["model", {"id": button}], ["node", "click"], data))
        text = await _until(socket, lambda text: ";base64," in text or "could not be made" in text)
        start, found, rest = text.partition("could not be made")
        if found:
            raise Failure(html.unescape(f"{start.rpartition(';')[2]}{found}{rest.partition('&lt;')[0]}"))
        content = re.search(r'"data:[^;]*(?:;charset=[^;]*)?;base64,([^"]*)"', text)
        if not content:
            raise Failure(f"{label}: no file in {text[:500]}")
        Path(FILES[label]).write_bytes(base64.b64decode(content[1]))
        check_file(Path(FILES[label]))
    socket.close()
    await _fetched(url + "evaluation")


def _models(part: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any part of a document
    """Yield every model that stands in a part of a document, with all that it has."""
    if isinstance(part, dict) and isinstance(part.get("attributes"), dict):
        yield part
    for below in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _models(below)


def _buttons(part: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    for model in _models(part):
        if model["attributes"].get("class_name") == "FileDownload":
            yield model["attributes"]["data"]["attributes"]["label"], model["id"]


def _channels(part: Any) -> Iterator[str]:  # noqa: ANN401
    for model in _models(part):
        columns = model["attributes"].get("data")
        names = [name for name, _ in columns.get("entries", ())] if isinstance(columns, dict) else []
        if names == ["action", "payload", "count"]:
            yield model["id"]


def _told(channel: str, action: str, word: str) -> dict[str, Any]:
    """Return what a page sends that tells its server something; see app/browser/channel.py."""
    columns = {"type": "map", "entries": [["action", [action]], ["payload", [json.dumps(word)]], ["count", [1]]]}
    return {"events": [{"kind": "ModelChanged", "model": {"id": channel}, "attr": "data", "new": columns}]}


def _event(name: str, *entries: list[Any]) -> dict[str, Any]:
    values = {"type": "map", "entries": list(entries)}
    message = {"type": "event", "name": name, "values": values}
    return {"events": [{"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": message}]}


async def _send(socket: WebSocketClientConnection, kind: str, content: dict[str, Any]) -> None:
    for part in ({"msgid": "1", "msgtype": kind}, {}, content):
        await socket.write_message(json.dumps(part))


async def _until(socket: WebSocketClientConnection, wanted: Callable[[str], bool]) -> str:
    async with asyncio.timeout(SECONDS):
        while (message := await socket.read_message()) is not None:
            if isinstance(message, str) and wanted(message):
                return message
    raise Failure("the server has closed the page's socket")


async def _fetched(url: str) -> bytes:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return (await AsyncHTTPClient().fetch(url, request_timeout=SECONDS)).body
        except ConnectionRefusedError:  # the address is printed a little before
            if time.monotonic() > deadline:
                raise Failure(f"nobody listens at {url}") from None
            await asyncio.sleep(0.1)


def run() -> None:
    """Run everything in a folder of its own."""
    check_that_it_is_plain()
    with tempfile.TemporaryDirectory(prefix="imo-plain-") as folder:
        os.chdir(folder)
        os.environ |= {"XDG_DATA_HOME": folder, "XDG_CACHE_HOME": folder}
        target = commands()
        with LabelStore("labels.sqlite") as store:
            store.save(target, Label(quality=2), scanner="ann", client_id="1", expected_version=0)
        options = ("--labels", "labels.sqlite", "--user", "ann")
        with served("--spectra", SURVEY, *SMALL, *options) as url:
            asyncio.run(files_of_the_page(url))
        with served() as url:  # the embedded demo
            asyncio.run(_fetched(url))
        os.chdir("/")


if __name__ == "__main__":
    try:
        run()
    except Failure as error:
        sys.exit(f"error: {error}")
