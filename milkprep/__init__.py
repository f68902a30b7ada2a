"""From raw files to a store that a trainer can read: pull, extract, build-splits.

Writes the tables of `schemas`; knows nothing of models or training.
"""
