"""Follow any object through a video from one box."""

__version__ = "0.1.0"
