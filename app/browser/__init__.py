"""What runs in the browser, and the ways between it and Python."""
