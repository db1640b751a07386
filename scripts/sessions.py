"""Open and close many browser sessions and print the server's memory: python scripts/sessions.py [SESSIONS].

Sessions are real ones, over the websocket, without a browser. Needs the test extra.
"""

import sys
import time
from pathlib import Path

import psutil
from bokeh.client import pull_session

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import serving  # noqa: E402 - the tests' own server

EVERY = 20
FORGOTTEN = 150  # seconds after which the server has given up sessions that nobody looks at


def main(sessions: int) -> None:
    """Print megabytes after every few sessions, and when all of them are forgotten."""
    import panel_material_ui  # noqa: F401 - the page's models

    with serving("--no-ahead") as server:
        process = psutil.Process(server.process.pid)
        for done in range(sessions + 1):
            if done % EVERY == 0:
                print(f"{done:4d} sessions: {process.memory_info().rss / 2**20:.0f} MB", flush=True)
            if done < sessions:
                pull_session(url=server.url).close()
        time.sleep(FORGOTTEN)
        print(f"all of them forgotten: {process.memory_info().rss / 2**20:.0f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
