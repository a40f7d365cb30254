"""Tracking procedures, one file a paper, NumPy only; the folder is the registry."""
