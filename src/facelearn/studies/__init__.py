"""Published experiments and searches: many runs of one question."""
