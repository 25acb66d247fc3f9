"""Which marks of a page belong together: tables, rows of boxes, combs, and lines of text, from the page alone."""
