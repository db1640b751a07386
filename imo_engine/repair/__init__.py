"""Repair: the smallest set of regions of a spectrum whose replacement makes it ordinary."""
