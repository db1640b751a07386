"""How well attribution methods find what is known to be odd: cases, metrics, contenders, tables.

:mod:`imo_engine.evaluation.cases` reads simulated outliers with their clean twins, :mod:`.contenders` computes
maps, :mod:`.scoring` scores them, :mod:`.runner` does so for all cases in several processes, and
:mod:`.summary` and :mod:`.page` condense the scores (``imo evaluate attribution``).
"""
