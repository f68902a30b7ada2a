"""The contract that milkprep and milktrain meet at: the store, its tables, names and errors.

Nothing in here knows how data is prepared or how a model is trained.
"""

__version__ = "0.1.0"
