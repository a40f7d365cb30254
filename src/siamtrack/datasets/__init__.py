"""Annotated sequences on disk, one file a layout."""
