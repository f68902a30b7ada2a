"""What a split is made of: parts, simulated loss, given splits, and the rows they become."""
