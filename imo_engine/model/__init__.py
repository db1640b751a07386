"""The outlier model, from its networks to its files: log p of spectra."""
