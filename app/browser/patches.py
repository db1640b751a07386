"""Which of Bokeh's functions in the browser are replaced by the page's own, and which are not, in the log of Python."""

import logging
from typing import Any

from bokeh import __version__

__all__ = ["log_patches"]

log = logging.getLogger(__name__)

_logged: set[tuple[str, str]] = set()


def log_patches(patches: Any) -> None:  # noqa: ANN401 - from a browser
    """Log what ``imo.patches`` says: by function true, or why it is left as it is; each once a process."""
    if not isinstance(patches, dict):
        return
    new = [(str(name)[:80], "" if why is True else str(why)[:200]) for name, why in patches.items()]
    new = [one for one in new if one not in _logged]
    if len(_logged) + len(new) > 100:  # nobody has so many; the browser is not to be believed
        return
    _logged.update(new)
    if held := [name for name, why in new if not why]:
        log.info("replaced of Bokeh %s in the browser: %s", __version__, ", ".join(held))
    for name, why in new:
        if why:
            log.warning("%s of Bokeh %s in the browser is left as it is: %s", name, __version__, why)
