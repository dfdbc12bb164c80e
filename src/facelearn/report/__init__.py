"""Saved results -> plots, tables, one self-contained HTML page; the only part that draws with matplotlib."""
