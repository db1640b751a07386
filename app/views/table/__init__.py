"""The ranked table and what is above it."""
