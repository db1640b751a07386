"""The targets on the page: a survey's spectra with their scores and ranks, and what users add to them."""
