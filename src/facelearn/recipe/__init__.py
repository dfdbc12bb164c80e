"""What decides a run: its settings, their defaults, and the one place that makes of them the recipe that runs."""
