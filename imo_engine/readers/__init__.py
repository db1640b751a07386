"""Readers of the files that spectra come in, one module a kind.

All are behind :func:`~imo_engine.readers.any_survey.read_spectra`.
"""

from imo_engine.readers.any_survey import SurveyFiles, read_spectra, read_survey

__all__ = ["SurveyFiles", "read_spectra", "read_survey"]
