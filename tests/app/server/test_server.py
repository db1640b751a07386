"""Who can reach the page: this machine only, and only the page itself, unless the user says otherwise."""

import http.client
import re
import signal
import socket
import time
from contextlib import closing
from unittest.mock import Mock

import panel.io.server
import psutil
import pytest
from bokeh.util.token import get_session_id, get_token_payload
from helpers.browser import PATIENCE, serving, write_desi_model
from helpers.fits_files import write_sdss
from helpers.routes import ROUTES
from helpers.surveys import tiny_survey
from tornado.ioloop import IOLoop

import app.server.server
from app.commands.program import main
from app.computing.explainer import Settings
from app.server.frame import PARTS
from imo_engine.errors import ImoError

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey")
    model = write_desi_model(folder)
    spectra = write_sdss(folder / "spec-x.fits")
    return ["--spectra", str(spectra), "--model", str(model), "--device", "cpu", "--n-baselines", "2"]


@pytest.fixture(scope="module")
def server(arguments):
    with serving(*arguments) as running:
        yield running


@pytest.fixture(scope="module")
def page(server):
    status, page = get(server)
    assert status == 200
    return page


def get(server, path="/", **headers):
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def open_websocket(server, page, origin):
    """Try to open the socket of ``page`` as a browser that shows ``origin`` would; return the HTTP status."""
    token = re.search(r'"token":\s*"([^"]+)"', page)[1]
    status, _ = get(
        server,
        "/ws",
        Origin=origin,
        Connection="Upgrade",
        Upgrade="websocket",
        **{"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Protocol": f"bokeh, {token}"},
    )
    return status


class TestRefusals:
    """Status 1 and one line, before anything is served."""

    @pytest.fixture
    def refused(self, capfd, arguments):
        def check(*more):
            with pytest.raises(SystemExit) as ended:
                main(["serve", *arguments, *more])
            errors = capfd.readouterr().err
            assert ended.value.code == 1
            assert errors.count("\n") == 1 and errors.startswith("imo: "), errors
            return errors

        return check

    @pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.7", "::"])
    def test_other_machines_need_an_origin(self, refused, address):
        errors = refused("--address", address)
        assert address in errors and "--allow-origin" in errors

    def test_a_port_that_is_taken(self, refused):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            errors = refused("--port", str(port))
            assert f"--port {port}" in errors and "in use" in errors

    def test_an_address_that_is_not_this_machine_s(self, refused):
        errors = refused("--address", "192.0.2.7", "--allow-origin", "x:1", "--port", "0")  # RFC 5737: nobody's
        assert "192.0.2.7" in errors


class TestListening:
    def test_on_loopback_only(self, server):
        process = psutil.Process(server.process.pid)
        everything = [process, *process.children(recursive=True)]
        sockets = [s for one in everything for s in one.net_connections("inet") if s.status == psutil.CONN_LISTEN]
        assert {(s.laddr.ip, s.laddr.port) for s in sockets} == {("127.0.0.1", server.port)}

    def test_serves_the_page(self, page):
        assert "<title>IMO Explorer</title>" in page

    def test_the_page_loads_nothing_from_elsewhere(self, page):
        loaded = re.findall(r"""<(?:script|link|img)[^>]+(?:src|href)=["'](https?:)?//([^/"']+)""", page)
        assert loaded == []

    def test_can_connect_again_after_days(self, page):
        token = re.search(r'"token":\s*"([^"]+)"', page)[1]
        assert get_token_payload(token)["session_expiry"] - time.time() > 7 * 86_400

    def test_is_told_when_it_is_another_server_s(self, server):
        assert get(server, "/alive?page=" + "0" * 32) == (200, "no")


class TestRoutes:
    def test_are_the_page_s_and_no_others(self, monkeypatch):
        made = []
        real, before = panel.io.server.serve, signal.getsignal(signal.SIGINT)
        monkeypatch.setattr(
            app.server.server.pn, "serve", lambda *panels, **given: made.append(real(*panels, **given)) or made[0]
        )
        monkeypatch.setattr(panel.io.server.Server, "start", lambda server: None)
        monkeypatch.setattr(IOLoop.current(), "start", lambda: None)
        try:
            app.server.server.serve(tiny_survey(), Settings(), port=0)
        finally:
            signal.signal(signal.SIGINT, before)
        (server,) = made
        server._http.stop()
        assert server._tornado.default_router.rules[-1].target is server._tornado.wildcard_router
        assert len(server._tornado.default_router.rules) == 1
        found = {
            rule.matcher.regex.pattern.removesuffix("$"): rule.target for rule in server._tornado.wildcard_router.rules
        }
        assert {route: handler.__name__ for route, handler in found.items()} == {
            route: reason.partition(":")[0] for route, reason in ROUTES.items()
        }

    @pytest.mark.parametrize(
        "path",
        [
            "/components/unittest.__main__/a/b/c",  # a program: it ends the process that imports it
            "/components/%75nittest.__main__/a/b/c",
            "/components/%75nittest%2E__main__%2Fa%2Fb%2Fc",
            "/components/this/a/b/c",  # prints when it is imported
            "/components/antigravity/a/b/c",  # opens a browser
            "/components/.unittest.__main__/a/b/c",
            "/components/..this/a/b/c",
            "/components//a/b/c",
            "/components/panel.widgets/FileInput/_stylesheets/css/button.css",
            "//components/this/a/b/c",
            "/evaluation/components/this/a/b/c",
            "/metadata",
            "/autoload.js?bokeh-autoload-element=x",
            "/evaluation/metadata",
            "/evaluation/autoload.js?bokeh-autoload-element=x",
            "/evaluation/static/js/bokeh.min.js",
            "/nothing",
        ],
    )
    def test_an_address_that_is_not_the_page_s_is_not_found(self, server, path):
        assert get(server, path)[0] == 404
        assert server.process.poll() is None
        assert get(server, "/alive") == (200, "no")
        assert "Zen of Python" not in server.log

    @pytest.mark.parametrize("path", ["/static/../urls.py", "/static/%2e%2e/urls.py", "/static/extensions//etc/passwd"])
    def test_files_beside_those_of_the_packages_are_refused(self, server, path):
        assert get(server, path)[0] in (403, 404)


class TestOrigins:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_the_page_itself_may_connect(self, server, page, host):
        assert open_websocket(server, page, f"http://{host}:{server.port}") == 101

    @pytest.mark.parametrize(
        "origin",
        [
            "http://evil",
            "https://evil.example",
            "http://127.0.0.1:1",
            "http://127.0.0.1:{port}.evil.example",
            "http://localhost:{port}.evil.example",
            "http://evil.example:{port}",
            "null",
        ],
    )
    def test_others_may_not(self, server, page, origin):
        assert open_websocket(server, page, origin.format(port=server.port)) == 403


class TestOptions:
    """What reaches Panel's server, without starting it."""

    @pytest.fixture
    def serve(self, monkeypatch):
        def call(**options):
            passed = {}
            monkeypatch.setattr(app.server.server.pn, "serve", lambda panels, **given: passed.update(given) or Mock())
            monkeypatch.setattr(app.server.server, "answer_only_routes", lambda server: None)
            monkeypatch.setattr(app.server.server.pn, "extension", lambda *names, **given: None)
            app.server.server.serve(tiny_survey(), Settings(), port=0, **options)
            return passed

        return call

    def test_by_default_only_the_page_itself_may_connect(self, serve, capsys):
        passed = serve()
        port = passed["port"]
        assert passed["address"] == "127.0.0.1"
        assert passed["websocket_origin"] == [f"127.0.0.1:{port}", f"localhost:{port}"]
        printed = capsys.readouterr().out
        assert f"Tiny, 4 spectra, at http://127.0.0.1:{port}/" in printed
        assert "other machines" not in printed

    def test_another_address_says_what_it_opens(self, serve, capsys):
        passed = serve(address="127.0.0.2", allow_origin=["explorer.example:443"])
        assert passed["address"] == "127.0.0.2"
        assert "explorer.example:443" in passed["websocket_origin"]
        printed = capsys.readouterr().out
        assert "opens the page to other machines" in printed
        assert "explorer.example:443" in printed

    def test_sessions_outlive_the_browser_s_attempts_to_come_back(self, serve):
        assert serve()["unused_session_lifetime_milliseconds"] > 63_000

    def test_another_address_without_origin_is_refused(self, serve):
        with pytest.raises(ImoError, match="--allow-origin"):
            serve(address="0.0.0.0")


def test_a_browser_opens_when_asked_for(arguments, tmp_path, monkeypatch):
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\nprintf "%s" "$1" > {opened}.new && mv {opened}.new {opened}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    with serving(*arguments, "--open") as server:
        deadline = time.monotonic() + PATIENCE
        while not opened.exists():
            assert time.monotonic() < deadline, server.log
            time.sleep(0.05)
        assert opened.read_text().rstrip("/") == server.url.rstrip("/")


class TestReadyFrames:
    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_each_request_begins_a_session_of_its_own(self, server, theme):
        pages = [get(server, f"/?theme={theme}")[1] for _ in range(2)]
        tokens = [re.search(r'"token":\s*"([^"]+)"', page)[1] for page in pages]
        assert get_session_id(tokens[0]) != get_session_id(tokens[1])
        for page in pages:
            assert f'class="mui-{theme}"' in page
            assert [re.search(rf'class="imo-{names[0]}"', page) is not None for _, names in PARTS] == [True] * 4

    def test_are_not_given_to_who_asks_for_them(self, server):
        page = get(server, **{"X-Imo-Frame": "guessed"})[1]
        token = re.search(r'"token":\s*"([^"]+)"', page)[1]
        assert "imo-header" in page and "guessed" in get_token_payload(token)["headers"].values()


def test_an_interrupt_ends_it_quietly(arguments):
    with serving(*arguments) as server:
        get(server)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0
    assert "Traceback" not in server.log
    assert "ERROR" not in server.log
