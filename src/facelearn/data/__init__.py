"""The table of faces, and what fills it: images, readers, splits, synthetic faces."""
