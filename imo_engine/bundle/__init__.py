"""A model with everything that lies beside it: baselines, null distribution, reference."""
