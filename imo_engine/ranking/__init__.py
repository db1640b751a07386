"""Which spectra of a survey are improbable, and the ordinary ones that they are compared with."""
