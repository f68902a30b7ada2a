"""A set of runs as one self-contained HTML page. README.md says where what is."""
