"""SQL documents, see `schemas/queries.py`."""
