"""Spectra, the instruments that observed them, and the lines and redshifts that are known of them."""
