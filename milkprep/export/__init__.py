"""From a split of a store to a folder that another project's code reads."""
