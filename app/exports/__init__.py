"""One explained target as a file that needs no server."""
