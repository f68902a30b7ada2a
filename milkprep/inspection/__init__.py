"""Looking into a store, and tidying it: what is there, what is missing and why, which vectors are shown."""
