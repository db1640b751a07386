"""Ways to compute log p of baselines into which chunks of a spectrum were put."""
