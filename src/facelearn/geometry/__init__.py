"""Points, maps and pixels: the only place where pixel coordinates are computed."""
