"""How credible a model is, on simulated and on real spectra."""
