"""The program ``imo``, and its subcommands that need the dashboard."""
