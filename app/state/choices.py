"""What a session has chosen; nothing that is computed."""

import param

from app.state.method_choices import METHODS_AT_FIRST

__all__ = ["Choices"]


class Choices(param.Parameterized):
    """Choices of one browser session, made by keys, buttons and the address; the target by the triage alone."""

    target_id = param.String(default="", doc="Selected target; empty if none. Written by the triage.")
    compare = param.Boolean(default=False, doc="Whether other methods are beside inverse occlusion.")
    methods = param.List(default=list(METHODS_AT_FIRST), item_type=str, doc="Names of those, from top to bottom.")
    explaining = param.Boolean(default=False, doc="Whether the page that explains the method is open.")
    details = param.Boolean(default=True, doc="Whether the column with reasons and labels is there.")
    dark = param.Boolean(default=False, doc="Whether colours are for a dark room.")
    large_type = param.Boolean(default=False, doc="Letters for a projector.")
    truth = param.Boolean(default=False, doc="Whether to say what was injected into a simulated target.")
