"""The program ``imo`` with all its subcommands, the dashboard included."""

import sys
from collections.abc import Sequence

from imo_engine.commands.program import COMMANDS, LazyGroup, run

__all__ = ["main"]


_HELP = "Outliers of spectroscopic surveys: score spectra, explain them, and look at them in a browser."


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit with its status."""
    commands = {
        **COMMANDS,
        "export": ("app.commands.export", "export", "Explain one target and write a page that needs no server."),
        "serve": ("app.commands.serve", "serve", "Show ranked outliers in a browser."),
    }
    sys.exit(run(LazyGroup(commands, help=_HELP), arguments))
