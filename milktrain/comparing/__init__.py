"""Finished runs compared: tables, marks, tests of significance. README.md says where what is."""
