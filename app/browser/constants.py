"""What Python and the code in the browser both have to know; the browser is given it with its models."""

__all__ = ["ALIVE", "IDLE", "LEAVING", "SMOOTHINGS"]

ALIVE = "alive"
"""Where the server says whether it still knows a page."""

SMOOTHINGS = (0, 3, 7, 15, 31)
"""Pixels over which a spectrum can be smoothed."""

IDLE = "drag to zoom · wheel · double-click for all · ? for keys"
"""The read-out while the mouse is nowhere."""

LEAVING = ("next", "previous", "next-unlabelled")
"""Actions of keys after which another target is in sight."""
