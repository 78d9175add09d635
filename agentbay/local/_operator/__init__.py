"""What works on the pages of a browser: the browser operator."""
