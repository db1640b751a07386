"""What a session has chosen; nothing that is computed."""

import param

__all__ = ["AppState"]


class AppState(param.Parameterized):
    """Choices of one browser session; each has one writer."""

    target_id = param.String(default="", doc="Selected target; empty if none. Written by the table.")
