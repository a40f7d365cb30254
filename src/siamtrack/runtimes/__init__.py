"""Who computes a network, one file a runtime."""
