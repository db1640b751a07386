"""Everything around the plots of the selected target."""
