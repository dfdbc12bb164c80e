"""Seeing inside a network: kernels, activations, saliency, what excites a unit. Everything is given back as NumPy arrays; needs torch."""
