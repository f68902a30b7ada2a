"""SQL documents, one a file, read in the order of their names."""
