"""SQL of the preparation side, kept as named statements."""
