"""How well boxes match the truth: pure functions of arrays."""
