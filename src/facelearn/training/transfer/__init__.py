"""Starting from weights that were trained before."""
