"""Annotation files of tools that people label videos with, one module a format."""
