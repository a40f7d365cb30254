"""JSON files, opened by what they begin with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from siamtrack.datasets.annotations.media import Media, head_of, text_of
from siamtrack.errors import DataError


def documents(media: Media, beginning: str) -> Iterator[tuple[Path, Any]]:
    """The JSON files of a folder that begin with this bracket, parsed.

    Raises:
        DataError: one is no valid JSON; the message names the line.
    """
    for path in media.others:
        if path.suffix.lower() == ".json" and head_of(path).lstrip().startswith(beginning):
            try:
                yield path, json.loads(text_of(path))
            except json.JSONDecodeError as error:
                raise DataError(f"{path}, line {error.lineno}: this is no valid JSON ({error.msg}). Export it again.") from None
