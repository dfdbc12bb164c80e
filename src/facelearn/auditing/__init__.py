"""Looking over data: what is in it, and what is wrong with it."""
