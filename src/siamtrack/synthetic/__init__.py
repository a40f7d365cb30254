"""Pictures that nobody had to annotate: scenes for demonstrations and pairs for training."""
