"""Shipped settings, one TOML file a preset."""
