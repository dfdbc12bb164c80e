"""Whether two faces are one person's: embeddings of people never seen in training too."""
