"""Parts of the page as plain HTML and CSS, for the page and for files that stand alone."""
