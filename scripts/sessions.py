"""Open and close many browser sessions and print the server's memory: python scripts/sessions.py [SESSIONS].

Sessions are real ones, over the websocket, without a browser: each lets the first target be shown and goes away.
Needs the test extra.
"""

import asyncio
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from helpers.browser import serving  # noqa: E402 - the tests' own server
from helpers.raw_sessions import open_session  # noqa: E402

EVERY = 20
SHOWN = 1.0  # seconds that a session stays
FORGOTTEN = 150  # seconds after which the server has given up sessions that nobody looks at


async def use(url: str, sessions: int, process: psutil.Process) -> None:
    """Open sessions one after the other and print megabytes after every few."""
    for done in range(1, sessions + 1):
        session = await open_session(url)
        await session.ready()
        await asyncio.sleep(SHOWN)
        await session.close()
        if done % EVERY == 0:
            print(f"{done:4d} sessions: {megabytes(process):.0f} MB", flush=True)
    await asyncio.sleep(FORGOTTEN)


def megabytes(process: psutil.Process) -> float:
    """Return the resident memory."""
    return process.memory_info().rss / 2**20


def main(sessions: int) -> None:
    """Print megabytes before, between, and when all sessions are forgotten."""
    with serving("--no-ahead") as server:
        process = psutil.Process(server.process.pid)
        print(f"   0 sessions: {megabytes(process):.0f} MB", flush=True)
        asyncio.run(use(server.url, sessions, process))
        print(f"all of them forgotten: {megabytes(process):.0f} MB")
        before, found, after = server.log.partition("Traceback")
        if found:
            raise SystemExit(f"the server was not well:\n{before[-500:]}{found}{after[:3000]}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
