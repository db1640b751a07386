"""Serve the page on this machine, or, when asked to, to others."""

import logging
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import panel as pn
from tornado.web import RequestHandler
from tornado.websocket import WebSocketClosedError

from app.browser.constants import ALIVE
from app.computing.explainer import Explainer, Settings
from app.computing.result_cache import AttributionStore, ResultCache
from app.findings.precomputed import Layers, Precomputed
from app.labels import LabelStore
from app.labels.records import check_name
from app.server.bokeh_patches import send_together
from app.server.explorer_page import explorer_page
from app.server.ready_frames import ReadyFrames
from app.server.routes import answer_only_routes
from app.server.scores_page import scores_page
from app.state.workspace import Workspace, default_labels, system_user
from app.survey.kept_candidates import CandidateFiles
from app.survey.survey import Survey
from imo_engine.errors import ImoError

__all__ = ["check_address", "serve"]

_LOCAL = ("127.0.0.1", "localhost")
_UNUSED_SESSION_SECONDS = 90  # longer than the browser's last attempt to reconnect, 63 s
_TOKEN_SECONDS = 30 * 86_400  # a page connects again with its first token; Bokeh's 5 minutes would leave it dead


def serve(
    survey: Survey,
    settings: Settings,
    *,
    address: str = "127.0.0.1",
    port: int = 5006,
    allow_origin: Sequence[str] = (),
    open_browser: bool = False,
    labels: str | Path | None = None,
    user: str = "",
    cache: Path | None = None,
    ahead: bool = True,
    precomputed: Path | None = None,
) -> None:
    """Serve ``survey``, explained with ``settings``, until interrupted.

    Args:
        survey: What is on the page.
        settings: How targets are explained.
        address: To listen on.
        port: To listen on; 0 for a free one.
        allow_origin: HOST:PORT under which other machines open the page.
        open_browser: Whether to open the page in a browser.
        labels: File or URL of the labels; by default a file in the user's data folder.
        user: Whose labels, where there is no login; by default who started the program.
        cache: Folder of finished attributions; by default in the user's cache folder.
        ahead: Whether targets are computed when nobody waits.
        precomputed: Results that ship with the survey; those that do not fit it are passed over.

    Raises:
        ImoError: the port is taken, another address is asked for without saying which origins may connect, or the
            labels cannot be opened.
    """
    local = address in _LOCAL
    port = check_address(address, port, allow_origin)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("bokeh", "tornado.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("asyncio").addFilter(_not_a_closed_browser)
    pn.extension("tabulator", reconnect=True, notifications=False)
    send_together()
    place = default_labels(survey) if labels is None else labels
    if labels is None:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
    store: AttributionStore = ResultCache(cache)
    shipped = None if precomputed is None else Precomputed(precomputed, survey, settings)
    workspace = Workspace(
        survey=survey,
        explainer=Explainer(survey, cache=store if shipped is None else Layers(store, shipped)),
        settings=settings,
        store=LabelStore(place),
        user=check_name("user", user or system_user()),
        ahead=ahead,
        candidates=CandidateFiles(_beside(place, survey), survey.title),
    )
    if shipped is not None:
        workspace.thinking.submit(lambda: workspace.reasons.findings.learn(shipped.findings()))
    url = f"http://{'127.0.0.1' if local else address}:{port}/"
    count = f"{len(survey.spectra):,} {'spectrum' if len(survey.spectra) == 1 else 'spectra'}"
    print(f"IMO Explorer: {survey.title}, {count}, at {url} (Ctrl-C stops it)", flush=True)
    print(f"Labels of {workspace.user}: {workspace.store.name}", flush=True)
    if not local:
        print(
            f"This opens the page to other machines; pages served as {', '.join(allow_origin)} may connect.", flush=True
        )
    try:
        pages = {"/": lambda: explorer_page(workspace), "/evaluation": scores_page}
        ready = ReadyFrames(f"http://{f'[{address}]' if ':' in address else address}:{port}", pages)
        server = pn.serve(
            ready.pages,
            extra_patterns=[(f"/{ALIVE}", _Alive, {"pages": workspace.pages})],
            address=address,
            port=port,
            show=False,
            start=False,
            title="IMO Explorer",
            websocket_origin=[f"127.0.0.1:{port}", f"localhost:{port}", *allow_origin],
            unused_session_lifetime_milliseconds=_UNUSED_SESSION_SECONDS * 1000,
            check_unused_sessions_milliseconds=10_000,
            session_token_expiration=_TOKEN_SECONDS,
            verbose=False,
        )
        answer_only_routes(server)
        server.start()
        server.io_loop.add_callback(ready.prepare, then=partial(server.show, "/") if open_browser else None)
        server.io_loop.start()
    finally:
        workspace.close()


def _beside(labels: str | Path, survey: Survey) -> Path:
    """Return the folder of people's own spectra: beside the labels, or where labels are kept by default."""
    file = default_labels(survey) if "://" in str(labels) else Path(labels)
    return file.with_name(f"{file.name}.candidates")


class _Alive(RequestHandler):
    """Tells a page whether this process made it: "yes", or "no" after a restart."""

    def initialize(self, pages: set[str]) -> None:
        self.pages = pages

    def get(self) -> None:
        self.set_header("Content-Type", "text/plain")
        self.set_header("Cache-Control", "no-store")
        self.write("yes" if self.get_argument("page", "") in self.pages else "no")


def check_address(address: str, port: int, allow_origin: Sequence[str]) -> int:
    """Return the port to listen on, a free one for 0.

    Raises:
        ImoError: as :func:`serve`.
    """
    if address not in _LOCAL and not allow_origin:
        raise ImoError(
            f"--address {address} lets other machines connect; also say from which page with --allow-origin HOST:PORT"
        )
    return _free_port(address, port)


def _not_a_closed_browser(record: logging.LogRecord) -> bool:
    # a browser that goes away in the middle of a message is an everyday event, which tornado reports as an error
    return not (record.exc_info and isinstance(record.exc_info[1], WebSocketClosedError))


def _free_port(address: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise ImoError(f"--port {port}: cannot listen on {address}: {error.strerror}") from None
        return int(probe.getsockname()[1])
