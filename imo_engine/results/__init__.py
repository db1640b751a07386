"""Attributions and reports as files: tables, figures and pages."""
