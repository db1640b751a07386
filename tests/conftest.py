"""Fixtures that several test modules share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import shapes

shapes.install()  # before anything of the engine is imported


def pytest_terminal_summary(terminalreporter):
    """Print what tests measured, also where they ran in other processes, and which had to be run twice."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.write_line(
            f"flaky, was run once more: {report.nodeid} ({report.longreprtext.splitlines()[-1]})"
        )
    for report in terminalreporter.getreports("passed"):
        if report.when == "call" and "measured" in (properties := dict(report.user_properties)):
            terminalreporter.write_line(properties["measured"])


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory):
    """Keep labels and cached results of the tests, and of the servers that they start, out of the user's folders."""
    before = {name: os.environ.get(name) for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME")}
    os.environ.update({name: str(tmp_path_factory.mktemp(name.lower())) for name in before})
    yield
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real survey data beside the repository; a test that needs it is skipped where it is absent."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is not on this machine")
    return folder


@pytest.fixture(scope="session")
def cases(shared_data, tmp_path_factory):
    """Folder of the files that people brought and that went wrong once, made by ../shared/cases; as above."""
    maker = shared_data.parent / "cases" / "make_cases.py"
    if not maker.is_file():
        pytest.skip("../shared/cases is not on this machine")
    folder = tmp_path_factory.mktemp("cases")
    subprocess.run([sys.executable, maker, folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def shared_oracles():
    """Folder of numbers from the authors' code beside the repository; as above."""
    folder = Path(__file__).parents[2] / "shared" / "oracles"
    if not folder.is_dir():
        pytest.skip("../shared/oracles is not on this machine")
    return folder


@pytest.fixture(scope="session")
def tiny_model():
    """A random model of 300 pixels and 3 latents in float64; nobody may change it."""
    from helpers.networks import tiny_model

    return tiny_model()


@pytest.fixture
def fresh_model():
    """The same, but a test's own, to be tampered with."""
    from helpers.networks import tiny_model

    return tiny_model()


@pytest.fixture(scope="module")
def browser():
    """Chromium, for a module whose servers are its own."""
    from helpers.browser import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture
def table(tmp_path):
    """A triage of the tiny survey with a database; what is left to do is done at the end."""
    from helpers.tables import Table

    table = Table(tmp_path)
    yield table
    table.drain()
    table.store.close()
