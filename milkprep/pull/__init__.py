"""What every source shares: raw lines to staged rows to the tables of the catalogue, every dropped line counted."""
