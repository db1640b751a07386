"""What ordinary spectra show: the distributions against which a value is significant."""
