"""Computations that all sessions of a process share: a bounded queue, and what is kept of its results."""
