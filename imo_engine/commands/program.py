"""The program ``imo``: its subcommands, and how it ends."""

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from imo_engine.errors import ImoError

__all__ = ["COMMANDS", "LazyGroup", "run"]

COMMANDS = {
    "rank": ("imo_engine.commands.rank", "rank", "Score spectra and write a catalogue."),
    "explain": ("imo_engine.commands.explain", "explain", "Explain one target and write its attribution."),
    "figure": ("imo_engine.commands.figure", "figure", "Draw one target's attributions for an article."),
    "simulate": ("imo_engine.commands.simulate", "simulate", "Simulate a survey with outliers of known causes."),
    "train": ("imo_engine.commands.train", "train", "Train a model on simulated or real spectra."),
    "benchmark": ("imo_engine.commands.benchmark", "benchmark", "Measure the engine's speed, memory and accuracy."),
    "evaluate": ("imo_engine.commands.evaluate", "evaluate", "Measure the model against what is known."),
}
"""Name: module, command object, one line of help. A module is imported only when its command is used."""


class LazyGroup(click.Group):
    """A group of commands that are imported when they are used, so that ``imo --help`` is quick."""

    def __init__(self, commands: dict[str, tuple[str, str, str]], *, help: str, name: str = "imo") -> None:
        super().__init__(name=name, help=help)
        self.lazy = commands

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order they were given."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command, or return None."""
        if cmd_name not in self.lazy:
            return None
        module, attribute, _ = self.lazy[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in self.lazy.items()])


def run(group: click.Group, arguments: Sequence[str] | None = None) -> int:
    """Run ``imo``; return 0, 1 after an error that the data or the machine caused, 2 after a wrong use.

    Errors are one line on stderr.
    """
    try:
        result = group.main(args=arguments, prog_name="imo", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        return 2
    except click.UsageError as error:
        hint = f" (see imo {error.ctx.info_name} --help)" if error.ctx and error.ctx.parent else " (see imo --help)"
        print(f"imo: {error.format_message()}{hint}", file=sys.stderr)
        return 2
    except (click.Abort, KeyboardInterrupt):
        print("imo: stopped", file=sys.stderr)
        return 1
    except (click.ClickException, ImoError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        print(f"imo: {' '.join(message.split())}", file=sys.stderr)
        return 1
