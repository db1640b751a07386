"""The subcommands of the program ``imo`` that need no dashboard; each module has one."""
