"""The engine of an extraction: what reads, decodes, embeds and writes, each at the same time as the others.

`milkprep.extract` is its outside. Pages of content go one way: `content` → `decoders` → `embedding` → `recording`, driven by `pipeline`.
"""
