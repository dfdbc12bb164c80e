"""Recipe, task and loop: what one training run is and how it goes."""
