"""The parts of the page, in Panel; each is thin and knows one thing."""
