"""Collaborative backbones, one file each; the folder is the registry. See README.md for how to add one."""
