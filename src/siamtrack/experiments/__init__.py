"""Published experiments, each by one function and one command: they train, track, measure, and write a folder."""
