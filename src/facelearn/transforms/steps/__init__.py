"""The steps of preprocessing, on pixels and on numbers."""
