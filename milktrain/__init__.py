"""Train and judge recommenders of new items whose modalities may be missing. Start reading at `recipe.py`."""
