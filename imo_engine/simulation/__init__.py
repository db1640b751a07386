"""A simulated survey: galaxies, DESI's spectrograph, and outliers whose cause is known.

Only :mod:`imo_engine.simulation.galaxies` needs bagpipes (GPL, the optional extra ``simulate``), and only
when it is asked to synthesise galaxies.
"""
