"""One browser session without a browser: what is chosen, asked, said and shown. Neither Bokeh nor Panel."""
