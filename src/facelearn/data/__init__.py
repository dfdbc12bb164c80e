"""From files to `Faces`, the one table: formats, images, splits, and synthetic faces. NumPy; no torch."""
