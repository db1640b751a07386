"""Readers of the files that surveys publish, one module a survey, all behind :func:`read_spectra`."""

from imo_engine.readers.survey_files import read_spectra

__all__ = ["read_spectra"]
