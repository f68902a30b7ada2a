"""Formats of other projects, one file a format: `write(content, folder, ...)` writes a split's files into an empty folder."""
