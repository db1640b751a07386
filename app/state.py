"""What a session has chosen; nothing that is computed."""

import param

__all__ = ["AppState"]


class AppState(param.Parameterized):
    """Choices of one browser session; each has one writer."""

    target_id = param.String(default="", doc="Selected target; empty if none. Written by the triage.")
    details = param.Boolean(default=True, doc="Whether the column with reasons and labels is there.")
    large_type = param.Boolean(default=False, doc="Letters for a projector.")
    truth = param.Boolean(default=False, doc="Whether to say what was injected into a simulated target.")
