"""The program `imo` with a gate in its engine: python tests/helpers/gated.py FILE serve ...

While FILE is there, nothing that is computed for a page comes to its end: a map waits after each window size up to
the number in FILE, another method before each of its batches. Both can be stopped meanwhile, as ever.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.commands.program import main  # noqa: E402
from app.computing import computation  # noqa: E402
from app.computing.events import WindowReady  # noqa: E402
from imo_engine.errors import Cancelled  # noqa: E402

_LOOK = 0.01  # seconds from one look at the gate to the next


def put_gate(file: Path) -> None:
    """Let everything that is computed from now on wait while ``file`` is there."""
    explain, apply_method = computation.explain, computation.apply_method

    def wait(size: int, should_stop: Callable[[], bool]) -> None:
        while size <= _waits_up_to(file):
            if should_stop():
                raise Cancelled("stopped at the gate")
            time.sleep(_LOOK)

    def gated_explain(inputs, send, should_stop):
        def send_and_wait(event):
            send(event)
            if isinstance(event, WindowReady):
                wait(event.window_size, should_stop)

        return explain(inputs, send_and_wait, should_stop)

    def gated_method(survey, target_id, settings, send, should_stop, *device):
        def wait_and_ask():
            wait(0, should_stop)
            return should_stop()

        return apply_method(survey, target_id, settings, send, wait_and_ask, *device)

    computation.explain, computation.apply_method = gated_explain, gated_method


def _waits_up_to(file: Path) -> int:
    """Return after which window sizes to wait; -1 where nothing waits."""
    try:
        return int(file.read_text())
    except FileNotFoundError:
        return -1


if __name__ == "__main__":
    put_gate(Path(sys.argv[1]))
    main(sys.argv[2:])
