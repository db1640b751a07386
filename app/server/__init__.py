"""The server: the pages it makes, the addresses it answers, and how it sends changes."""
