"""Inverse multiscale occlusion: which pixels make a spectrum improbable."""
