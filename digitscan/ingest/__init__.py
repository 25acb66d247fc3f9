"""Sources become pages: files, folders, PDF, TIFF."""
