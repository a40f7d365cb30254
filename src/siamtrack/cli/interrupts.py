"""What Ctrl-C becomes: one line that says so, and the exit code 130."""

from __future__ import annotations


class Told(KeyboardInterrupt):
    """Ctrl-C, after the command has said what is kept and how to go on."""
