"""Bokeh figures of one target: made once a session, then fed through their data sources. No Panel."""
