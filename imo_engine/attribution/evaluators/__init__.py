"""Ways to compute log p of baselines into which chunks of a spectrum were put."""

__all__ = ["EVALUATORS"]

EVALUATORS = ("exact", "local_update", "full_passes", "frozen_statistics")
"""The fastest exact one; within 2 % of each window's largest value; whole spectra through any encoder; statistics of
every normalisation held fixed."""
