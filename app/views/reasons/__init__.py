"""The column beside the plots: who the target is, why it is odd, what is said of it."""
