"""Search of settings on validation; see README.md."""
