"""Whether what is said of an outlier is true."""
