"""How well attribution methods find what is known to be odd (``imo evaluate attribution``)."""
