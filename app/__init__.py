"""The dashboard: a Panel page that lists ranked outliers and explains the selected one.

Layers, each importing only those after it: command_line, server > main > views > plots > explainer, survey,
state. The last three need no browser.
"""
