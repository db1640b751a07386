"""The dashboard: a Panel page that lists ranked outliers and explains the selected one."""
