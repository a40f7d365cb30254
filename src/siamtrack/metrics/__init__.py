"""How well boxes, masks and confidences match the truth: pure functions of arrays."""
