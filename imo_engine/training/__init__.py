"""Training: from galaxies or spectra to an outlier model with its baselines, and a report on the way."""
