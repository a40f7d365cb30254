"""Training a network from pairs."""
