"""How the embedded detector's two networks are made: synthetic scenes, networks, training, and the script `make`."""
