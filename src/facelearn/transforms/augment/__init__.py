"""Random variation of training images; its settings can be read without torch."""
