"""Metrics, in NumPy only: `*_score` is better higher, `*_error` and `*_loss` lower; all say over how many labels."""
