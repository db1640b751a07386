"""How well a model, attribution methods, reasons and repairs do on spectra about which the truth is known."""
