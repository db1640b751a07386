"""Files, processes, devices and memory: what has nothing to do with spectra."""
