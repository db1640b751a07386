"""The parts of the page; each is thin and knows one thing."""
