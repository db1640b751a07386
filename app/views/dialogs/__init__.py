"""Dialogs over the page."""
