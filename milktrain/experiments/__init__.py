"""Plans of many runs, those of the paper among them. README.md says where what is."""
